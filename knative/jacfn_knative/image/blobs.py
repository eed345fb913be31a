"""The cache on disk: blobs by digest, and small records of which inputs gave which layer. Content is checked when it comes in.

A blob appears under its name only when it is complete and its digest is right, so several builds at once are safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jacfn_knative.errors import ImageError
from jacfn_knative.image.errors import RegistryFault
from jacfn_knative.image.registry import CHUNK

_KEPT_SECONDS = 30 * 24 * 3600  # a blob that no build has used for a month


def default_folder(env: Mapping[str, str]) -> Path:
    """The user's cache folder for images: JACFN_CACHE, else the platform's own place."""
    if env.get("JACFN_CACHE"):
        return Path(env["JACFN_CACHE"])
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "jacfn"
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local") / "jacfn" / "cache"
    return Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "jacfn"


@dataclass(frozen=True, slots=True)
class Blobs:
    """A folder of blobs. Made when first written to."""

    folder: Path

    @classmethod
    def default(cls) -> Blobs:
        """The user's own cache."""
        return cls(default_folder(os.environ))

    def path(self, digest: str) -> Path:
        """Where a blob is, or would be."""
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def has(self, digest: str) -> bool:
        """Whether the blob is here. Marks it as used."""
        try:
            os.utime(self.path(digest))
        except OSError:
            return False
        return True

    def read(self, digest: str) -> Iterator[bytes]:
        """The blob's content, in pieces. A copy that the disk damaged is removed, and RegistryFault raised at its end."""
        hasher = hashlib.sha256()
        with self.path(digest).open("rb") as file:
            while piece := file.read(CHUNK):
                hasher.update(piece)
                yield piece
        if f"sha256:{hasher.hexdigest()}" != digest:
            self.path(digest).unlink(missing_ok=True)
            raise RegistryFault(f"The cache had a damaged copy of {digest}", next_step="It was removed: try again.")

    def add(self, digest: str, pieces: Iterable[bytes]) -> Path:
        """Store a blob. Raises RegistryFault if the content is not what the digest says; nothing is left then."""
        with self.new() as part:
            hasher = hashlib.sha256()
            with part.open("wb") as file:
                for piece in pieces:
                    hasher.update(piece)
                    file.write(piece)
            if f"sha256:{hasher.hexdigest()}" != digest:
                raise RegistryFault(
                    f"The content of {digest} arrived damaged",
                    evidence=f"Its digest is sha256:{hasher.hexdigest()}.",
                    next_step="Try again; if it stays so, the registry or a proxy in front of it is broken.",
                )
            return self.adopt(part, digest)

    @contextlib.contextmanager
    def new(self) -> Iterator[Path]:
        """A file to write a blob to that `adopt` then takes; removed if it does not. Raises ImageError if there can be none."""
        try:
            self.path("").mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder / "blobs", prefix="part-")
        except OSError as error:
            raise ImageError(
                f"The cache for images cannot be written: {self.folder}",
                evidence=str(error),
                next_step="Set JACFN_CACHE to a folder that can.",
            ) from error
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def adopt(self, part: Path, digest: str) -> Path:
        """Take a complete file, whose digest the caller knows, as this blob."""
        part.chmod(0o644)
        return part.replace(self.path(digest))

    def record(self, key: str) -> dict[str, Any] | None:
        """What was remembered under this key, or None."""
        try:
            document = json.loads(self._record_path(key).read_text())
            os.utime(self._record_path(key))
        except (OSError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def remember(self, key: str, document: Mapping[str, Any]) -> None:
        """Remember a small JSON document."""
        path = self._record_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.new() as part:
            part.write_text(json.dumps(document, sort_keys=True))
            part.replace(path)

    def prune(self, seconds: float = _KEPT_SECONDS) -> int:
        """Remove blobs and records that nothing has used for so long; the number of bytes that are free again."""
        freed, oldest = 0, time.time() - seconds
        for path in [*self.folder.glob("blobs/sha256/*"), *self.folder.glob("blobs/part-*"), *self.folder.glob("records/*")]:
            with contextlib.suppress(OSError):
                status = path.stat()
                if status.st_mtime < oldest:
                    path.unlink()
                    freed += status.st_size
        return freed

    def _record_path(self, key: str) -> Path:
        return self.folder / "records" / f"{key}.json"
