"""The program's own Python dependencies as files of its bundle: pure-Python wheels, unpacked. Native ones need --build.

pip finds them, as a child process: it knows the user's index, login and proxy. Nothing of a wheel is run here.
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from jacfn_runtime.errors import ProgramError

_SECONDS = 300.0  # for pip to resolve and to download
# What pods run on, for environment markers; a pure-Python wheel fits both processors.
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


@dataclass(frozen=True, slots=True)
class Carried:
    """Dependencies that join a bundle: `name==version` each, and their files relative to `site/`."""

    names: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)

    def plugins(self) -> tuple[str, ...]:
        """Plugins of jaclang among them, `distribution:name`."""
        found = []
        for path, data in self.files.items():
            if path.endswith(".dist-info/entry_points.txt"):
                parser = configparser.ConfigParser(delimiters=("=",))
                parser.read_string(data.decode())
                distribution = path.partition("-")[0]
                found += [
                    f"{normalized(distribution)}:{name}" for name in (parser.options("jac") if parser.has_section("jac") else ())
                ]
        return tuple(sorted(found))


def carry(requirements: Iterable[str]) -> Carried:
    """What the requirements need beyond the runtime, as files.

    Raises ProgramError: they cannot be resolved, contradict the runtime's own versions, or need a native wheel (names --build).
    """
    requirements = tuple(requirements)
    if not requirements:
        return Carried()
    runtime = runtime_distributions()
    with tempfile.TemporaryDirectory(prefix="jacfn-wheels-") as folder:
        wanted = [item for item in _resolve(requirements, runtime, Path(folder)) if normalized(item[0]) not in runtime]
        wheels = _download(wanted, Path(folder)) if wanted else []
        files = {path: data for wheel in wheels for path, data in _unpacked(wheel)}
    return Carried(tuple(sorted(f"{name}=={version}" for name, version in wanted)), dict(sorted(files.items())))


def runtime_distributions() -> dict[str, str]:
    """What every pod has: jacfn and all that it requires without extras; canonical name -> version."""
    return installed_closure(("jacfn",))


def installed_closure(requirements: Iterable[str]) -> dict[str, str]:
    """What is installed here of the requirements and all that they require; canonical name -> version."""
    found: dict[str, str] = {}
    queue = required_names(requirements)
    while queue:
        name = queue.pop()
        if normalized(name) in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform or another Python
        found[normalized(name)] = distribution.version
        queue += required_names(distribution.requires or ())
    return found


def installed_plugins(requirements: Iterable[str]) -> tuple[str, ...]:
    """Plugins of jaclang that the requirements bring and that are installed here, `distribution:name`."""
    closure = installed_closure(requirements)
    entries = metadata.entry_points(group="jac")
    return tuple(
        sorted(
            f"{normalized(item.dist.name)}:{item.name}" for item in entries if item.dist and normalized(item.dist.name) in closure
        )
    )


def not_installed(requirements: Iterable[str]) -> list[str]:
    """The names of those requirements that this environment does not have."""
    return [name for name in required_names(requirements) if _version(name) is None]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def required_names(requirements: Iterable[str]) -> list[str]:
    """The names of those requirements whose markers hold in a pod, without extras."""
    from packaging.requirements import Requirement

    parsed = [Requirement(text) for text in requirements]
    return [item.name for item in parsed if item.marker is None or item.marker.evaluate({"extra": ""})]


def normalized(name: str) -> str:
    """PEP 503: `Charset_Normalizer` and `charset-normalizer` are one."""
    return name.lower().replace("_", "-").replace(".", "-")


def _resolve(requirements: tuple[str, ...], runtime: dict[str, str], folder: Path) -> list[tuple[str, str]]:
    pins = folder / "runtime.txt"
    pins.write_text("".join(f"{name}=={version}\n" for name, version in runtime.items() if name != "jacfn"))
    report = folder / "report.json"
    options = ["install", "--dry-run", "--ignore-installed", "--constraint", str(pins), "--report", str(report)]
    platforms = [f"--platform={tag}" for tag in (*_PLATFORMS, "any")]
    done = _pip(*options, *_common(), *platforms, f"--target={folder / 'site'}", *requirements)
    if done.returncode:
        raise ProgramError(
            "The program's [dependencies] cannot be resolved",
            evidence=_reason(done),
            next_step="Mend [dependencies] in jac.toml; what the runtime brings itself has a fixed version.",
        )
    installs: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return sorted((item["metadata"]["name"], item["metadata"]["version"]) for item in installs)


def _download(wanted: list[tuple[str, str]], folder: Path) -> list[Path]:
    """The pure-Python wheels of these distributions."""
    into = folder / "wheels"
    names = [f"{name}=={version}" for name, version in wanted]
    done = _pip("download", "--no-deps", "--platform=any", f"--dest={into}", *_common(), *names)
    if done.returncode:
        native = sorted(set(re.findall(r"requirement (\S+?)==", done.stderr))) or ["A dependency"]
        raise ProgramError(
            f"{', '.join(native)} has no pure-Python wheel, and fast mode carries nothing else",
            evidence=_reason(done),
            next_step="Deploy with --build: an image of the app's own can hold native packages.",
        )
    return sorted(into.glob("*.whl"))


def _unpacked(wheel: Path) -> Iterable[tuple[str, bytes]]:
    """A wheel's modules and data as in site-packages, without its commands, headers and list of files."""
    with zipfile.ZipFile(wheel) as archive:
        for item in archive.infolist():
            parts = PurePosixPath(item.filename).parts
            if item.is_dir() or item.filename.endswith((".dist-info/RECORD", ".pyc")):
                continue
            if PurePosixPath(item.filename).is_absolute() or ".." in parts or "\\" in item.filename:
                raise ProgramError(f"{wheel.name} has a file outside its folder: {item.filename!r}")
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] != "purelib":
                    continue
                parts = parts[2:]
            yield "/".join(parts), archive.read(item)


def _common() -> list[str]:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    return ["--only-binary=:all:", "--quiet", "--no-input", "--disable-pip-version-check", f"--python-version={minor}"]


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [sys.executable, *_pip_itself(), *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"pip did not answer within {_SECONDS:.0f} s", next_step="Is the package index reachable?") from error


def _pip_itself() -> list[str]:
    """The pip of this environment, else the wheel that Python carries for `ensurepip`."""
    if importlib.util.find_spec("pip"):
        return ["-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    carried = sorted(Path(spec.origin).parent.glob("_bundled/pip-*.whl")) if spec and spec.origin else []
    if not carried:
        raise ProgramError(
            "There is no pip here, and the program has [dependencies]", next_step=f"Install it: {sys.executable} -m ensurepip"
        )
    return [f"{carried[-1]}/pip"]


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip().lower().startswith("error")]
    return "\n".join(lines[-4:]) or done.stderr[-500:]
