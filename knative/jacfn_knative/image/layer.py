"""Writing one layer: a gzipped tar whose bytes depend on its content only.

Entries in the caller's order (sorted paths), one time stamp, root as owner, two modes; gzip without a name and a time.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from jacfn_knative.image.model import OCI_LAYER, Descriptor, Layer

TIME = 315532800  # 1980-01-01, the oldest time that zip files, and so wheels, can have
_LEVEL = 4  # on the wheels 2 % larger than zlib's default, in a third of its time


@dataclass(frozen=True, slots=True)
class Tee:
    """A writer that also hashes and counts what goes through."""

    out: IO[bytes] | gzip.GzipFile
    hasher: hashlib._Hash
    size: list[int]

    def write(self, data: bytes) -> int:
        self.hasher.update(data)
        self.size[0] += len(data)
        return self.out.write(data)

    def flush(self) -> None:
        self.out.flush()


def write_layer(files: Mapping[str, Path | bytes], out: BinaryIO, comment: str) -> Layer:
    """Write files to `out` as a layer, and describe it. Keys are absolute paths within the image; folders are made as needed.

    A Path is read piece by piece, and its permission to execute is kept. Raises ValueError for a path that leaves the root.
    """
    packed = Tee(out, hashlib.sha256(), [0])
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=cast(IO[bytes], packed), mtime=0) as zipped:
        plain = Tee(zipped, hashlib.sha256(), [0])
        with tarfile.open(fileobj=cast(IO[bytes], plain), mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 16) as tar:
            made: set[PurePosixPath] = set()
            for name in sorted(files):
                _add(tar, _inside(name), files[name], made)
    blob = Descriptor(OCI_LAYER, f"sha256:{packed.hasher.hexdigest()}", packed.size[0])
    return Layer(blob, f"sha256:{plain.hasher.hexdigest()}", None, comment)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/"):
        raise ValueError(f"{name!r} is no absolute path of a file in an image")
    return path.relative_to("/")


def _add(tar: tarfile.TarFile, path: PurePosixPath, content: Path | bytes, made: set[PurePosixPath]) -> None:
    for folder in reversed(path.parents[:-1]):
        if folder not in made:
            made.add(folder)
            entry = _entry(folder, 0o755)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
    entry = _entry(path, 0o644)
    if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        return
    with content.open("rb") as file:
        entry.size = content.stat().st_size
        if content.stat().st_mode & 0o100:
            entry.mode = 0o755
        tar.addfile(entry, file)


def _entry(path: PurePosixPath, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(str(path))
    entry.mode, entry.mtime = mode, TIME
    return entry
