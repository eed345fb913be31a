"""Getting wheels for an image's platform, with pip as a child process, and laying them out as files.

pip knows the user's index, its login, proxy and certificates; it is the pip of this environment, else the one that Python itself
ships (ensurepip). It only downloads: nothing of a wheel is run here.
"""

from __future__ import annotations

import email.parser
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from jacfn_knative.image.errors import WheelsUnavailable
from jacfn_knative.image.requirements import Closure, Metadata, Target, closure
from jacfn_knative.report import Event, Report

_ROUNDS = 20  # each round finds the requirements of wheels that were not installed here; no tree is deeper
_SECONDS = 900.0  # for downloads of one round


def installed(name: str) -> Metadata | None:
    """The metadata of a distribution of this environment, or None."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Metadata(canonicalize_name(name), found.version, tuple(found.requires or ()))


def resolve(
    roots: Iterable[str], target: Target, folder: Path, report: Report, without: Iterable[str] = ()
) -> Mapping[str, Path]:
    """Download a wheel into `folder` for everything that `roots` need on `target`; by canonical name.

    Versions are those that are installed here; what is not installed here is chosen by pip, with its requirements after it.
    Raises WheelsUnavailable with pip's reason.
    """
    roots, without = tuple(roots), tuple(without)
    have: dict[str, Path] = {}
    for _ in range(_ROUNDS):
        downloaded = {name: metadata_of(path) for name, path in have.items()}
        found = closure(roots, target, lambda name, got=downloaded: got.get(name) or installed(name), without)  # type: ignore[misc]
        missing = [text for name, text in found.requirements.items() if name not in have]
        if not missing:
            return {name: have[name] for name in sorted(found.requirements)}
        report(Event("image", "wheels", f"getting {len(missing)} for {target.platform}, Python {target.minor}"))
        _download(missing, target, folder)
        have = {canonicalize_name(path.name.partition("-")[0]): path for path in sorted(folder.glob("*.whl"))}
    raise WheelsUnavailable("The dependencies do not come to an end", evidence=", ".join(sorted(have)))


def pinned(roots: Iterable[str], target: Target, without: Iterable[str] = ()) -> Closure:
    """What `resolve` would get, as far as that is known without downloading: the key of a layer that is already there."""
    return closure(roots, target, installed, without)


def metadata_of(wheel: Path) -> Metadata:
    """The metadata in a wheel. Raises WheelsUnavailable if it is none."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
            document = email.parser.BytesHeaderParser().parsebytes(archive.read(name))
    except (StopIteration, OSError, zipfile.BadZipFile) as error:
        raise WheelsUnavailable(f"{wheel.name} is no wheel", evidence=str(error)) from error
    requires = tuple(str(value) for value in document.get_all("Requires-Dist") or ())
    return Metadata(canonicalize_name(str(document["Name"])), str(document["Version"]), requires)


def unpack(wheel: Path, root: Path) -> None:
    """Lay a wheel's modules and data out below `root`, as an installer would in site-packages, without its commands and headers.

    Raises WheelsUnavailable for a wheel with a path that leaves `root`.
    """
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            path = PurePosixPath(item.filename)
            if path.is_absolute() or ".." in path.parts or "\\" in item.filename:
                raise WheelsUnavailable(f"{wheel.name} has a file outside its folder: {item.filename!r}")
            if item.is_dir():
                continue
            if path.parts[0].endswith(".data"):
                if len(path.parts) < 3 or path.parts[1] not in ("purelib", "platlib"):
                    continue
                path = PurePosixPath(*path.parts[2:])
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(item) as source, target.open("wb") as out:
                while piece := source.read(1 << 20):
                    out.write(piece)
            if (item.external_attr >> 16) & 0o100:
                target.chmod(0o755)


def _download(requirements: list[str], target: Target, folder: Path) -> None:
    command = [*_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    command += ["--disable-pip-version-check", "--no-input", "--implementation", "cp", "--python-version", target.minor]
    command += [f"--abi={abi}" for abi in (f"cp{target.minor.replace('.', '')}", "abi3", "none")]
    command += [f"--platform={tag}" for tag in target.wheel_platforms]
    try:
        done = subprocess.run(
            [*command, *requirements],
            env=os.environ | {"PIP_REQUIRE_VIRTUALENV": "0"},  # nothing is installed here
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WheelsUnavailable(f"pip did not get the wheels within {_SECONDS:.0f} s") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip().lower().startswith("error")]
        raise WheelsUnavailable(
            f"Dependencies cannot be had as wheels for {target.platform}, Python {target.minor}",
            evidence="\n".join(lines[-4:]) or done.stderr[-500:],
            next_step="Choose a version that has such a wheel, or build from a Dockerfile of your own (--builder docker).",
        )


def _pip() -> list[str]:
    """How to start pip: the one of this environment, else the wheel that Python carries for `ensurepip`."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    if spec and spec.origin:
        carried = sorted(Path(spec.origin).parent.glob("_bundled/pip-*.whl"))
        if carried:
            return [sys.executable, f"{carried[-1]}/pip"]
    raise WheelsUnavailable(
        "There is no pip in this environment, and images are made with it",
        next_step=f"Install it: `uv pip install pip`, or `{sys.executable} -m ensurepip`.",
    )
