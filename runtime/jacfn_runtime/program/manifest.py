"""The manifest of a bundle: what it holds and what it fits. Pure apart from `read_manifest`."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import msgspec

from jacfn_runtime.errors import BundleMismatch, ProgramError
from jacfn_runtime.program.catalog import Catalog

MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle holds and what it fits."""

    catalog: Catalog
    hash: str
    """64 hex digits: SHA-256 over everything else in the bundle."""
    jacfn: str
    jaclang: str
    python: str
    """`3.12`: the interpreter that the code was compiled for."""
    magic: str
    """The interpreter's bytecode version (importlib.util.MAGIC_NUMBER), as hex digits."""
    slim: bool = True
    """Whether the slim loader ran the program when the bundle was built."""
    plugins: tuple[str, ...] = ()
    """Plugins of jaclang among the dependencies, `distribution:name`: the full loader lets them in, and no others."""
    dependencies: tuple[str, ...] = ()
    """The program's own Python dependencies, PEP 508: those under `site/`, or those that the image or the laptop has to have."""
    files: dict[str, str]
    """Path in the bundle -> SHA-256."""

    def to_json(self) -> bytes:
        """Deterministic JSON: the same manifest gives the same bytes."""
        return msgspec.json.encode(self, order="deterministic")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`.

    Raises ProgramError if there is none, BundleMismatch if another jacfn wrote it in a form that this one does not know.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise ProgramError(
            f"There is no bundle in {folder}", evidence=str(error), next_step="Make one with `jacfn bundle main.jac -o DIR`."
        ) from error
    try:
        return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BundleMismatch(
            f"{folder / MANIFEST} is no manifest of this jacfn", evidence=str(error), next_step="Build the bundle again."
        ) from error


def check_whole(folder: Path, manifest: Manifest, code: bytes) -> None:
    """Raises BundleMismatch if `manifest.json` or `code.bin` is not as it was built: marshalled code must not be guessed at."""
    from hashlib import sha256

    signed = (folder / MANIFEST).read_bytes()
    unsigned = signed.replace(f'"hash":"{manifest.hash}"'.encode(), b'"hash":""', 1)
    checks = ((MANIFEST, manifest.hash, unsigned), ("code.bin", manifest.files.get("code.bin", ""), code))
    for name, expected, data in checks:
        if (found := sha256(data).hexdigest()) != expected:
            raise BundleMismatch(
                f"{folder / name} is damaged, or was changed after it was built",
                evidence=f"SHA-256 {found}, and {expected or 'none'} when it was built",
                next_step="Build the bundle again.",
            )


def check_interpreter(manifest: Manifest) -> None:
    """Raises BundleMismatch if the bundle's code was compiled for another interpreter."""
    magic = importlib.util.MAGIC_NUMBER.hex()
    if manifest.magic != magic:
        raise BundleMismatch(
            f"The bundle was compiled for Python {manifest.python} and does not fit this interpreter",
            evidence=f"bytecode version {manifest.magic} in the bundle, {magic} here",
            next_step=f"Build the bundle with the interpreter that runs it, or run it with Python {manifest.python}.",
        )


def check_jaclang(manifest: Manifest) -> None:
    """Raises BundleMismatch if another jaclang is installed than the one that compiled the bundle.

    None at all is no mismatch: the slim loader needs none as long as it lacks nothing.
    """
    # A folder's name tells the version in microseconds; importlib.metadata takes longer than the rest of the loader.
    if any(os.path.isdir(f"{folder}/jaclang-{manifest.jaclang}.dist-info") for folder in sys.path):  # noqa: PTH112
        return
    from importlib import metadata

    try:
        installed = metadata.version("jaclang")
    except metadata.PackageNotFoundError:
        return
    if installed != manifest.jaclang:
        raise BundleMismatch(
            f"The bundle was compiled with jaclang {manifest.jaclang}, and jaclang {installed} is installed",
            next_step=f"Build the bundle again, or install jaclang {manifest.jaclang}.",
        )
