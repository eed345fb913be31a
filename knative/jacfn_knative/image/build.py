"""Making images: the runtime image from a base, and an app's image from a runtime image.

Over the base lie the standard library's bytecode (follows the base), the wheels (follow the pinned versions) and jacfn itself; in
an app's image also the bundle, and the program's own dependencies where it has any. A change costs its own layer only.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform as machine
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement

from jacfn_knative.image.base import BasePython
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.credentials import ANONYMOUS, Keychain
from jacfn_knative.image.errors import ImageMismatch, WheelsUnavailable
from jacfn_knative.image.fit import JACFN, JACLANG, LIBC, PACKAGES, PYTHON
from jacfn_knative.image.make import CACHE_FOLDER, PACKAGES_FOLDER, Maker
from jacfn_knative.image.model import Image, Platform, Process, extend
from jacfn_knative.image.reference import Reference
from jacfn_knative.image.requirements import Target, applying
from jacfn_knative.image.source import Source
from jacfn_knative.image.wheels import installed
from jacfn_knative.report import Report, silent

BUNDLE_FOLDER = "/app/bundle"
"""Where an app's image has the bundle; JACFN_BUNDLE says it to the process."""
APP_PACKAGES_FOLDER = "/app/lib"
_USER = "65532:65532"  # `nonroot` of distroless images; a number, because Kubernetes cannot check a name (runAsNonRoot)
_PORT = 8080  # the default of Knative's container contract
_WRITABLE = "/tmp"  # noqa: S108  the one place where a container may write


def default_base() -> str:
    """The base image for this Python: bundle and image share bytecode, so they share the minor version."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def host_platform() -> str:
    """The platform of containers on this machine."""
    arm = machine.machine().lower() in ("arm64", "aarch64")
    return "linux/arm64" if arm else "linux/amd64"


def build_runtime(
    base: str = "",
    platform: str = "linux/amd64",
    keychain: Keychain = ANONYMOUS,
    blobs: Blobs | None = None,
    report: Report = silent,
) -> Image:
    """The image in which every bundle of this jacfn runs: base, bytecode, the wheels of pods and gateway, jacfn.

    `base` is read from its registry (default: the official slim image of this Python). Our layers end up in the cache, the base's
    only if they had to be looked at. Raises RegistryError, PlatformMissing, BaseUnfit, WheelsUnavailable.
    """
    reference, wanted = Reference.parse(base or default_base()), Platform.parse(platform)
    blobs = blobs or Blobs.default()
    maker = Maker(blobs, report)
    with Source(keychain, blobs, report) as source, tempfile.TemporaryDirectory(prefix="jacfn-") as folder:
        under = source.resolve(reference, wanted).image
        python = maker.look_at(under, str(reference), source, Path(folder))
        target = Target(wanted, python.version, python.libc, python.libc_minor)
        with ThreadPoolExecutor(2) as pool:  # one compiles the standard library while the other downloads
            bytecode = pool.submit(maker.bytecode, under, Path(folder))
            wheels, pins = maker.wheels(_of_pods(target), target, PACKAGES_FOLDER, python.sys_version)
            added = (bytecode.result(), wheels, maker.jacfn())
    labels = _labels(python, pins) | {
        "org.opencontainers.image.base.name": str(reference),
        "org.opencontainers.image.base.digest": under.digest,
    }
    blobs.prune()
    return extend(json.loads(under.config), under.layers, added, _process(python), labels)


def build_app(
    runtime: Image,
    files: Mapping[str, bytes],
    dependencies: Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    blobs: Blobs | None = None,
    report: Report = silent,
) -> Image:
    """A runtime image with a bundle in it, and the program's own dependencies (PEP 508) as far as the runtime has them not.

    `files` are the bundle's, by path within it. Raises ImageMismatch if `runtime` is none of jacfn, WheelsUnavailable.
    """
    if JACFN not in runtime.labels:
        raise ImageMismatch("The image to build on is no runtime image of jacfn", next_step="Make one: jacfn image runtime.")
    maker = Maker(blobs or Blobs.default(), report)
    environment, added, roots = {"JACFN_BUNDLE": BUNDLE_FOLDER}, [], tuple(dependencies)
    if roots:
        libc, _, version = runtime.labels[LIBC].partition("-")
        target = Target(runtime.platform, runtime.labels[PYTHON], libc, int(version.partition(".")[2]))
        there = [Requirement(pin).name for pin in runtime.labels[PACKAGES].split()]
        added.append(maker.wheels(roots, target, APP_PACKAGES_FOLDER, without=there)[0])
        environment["PYTHONPATH"] = f"{PACKAGES_FOLDER}:{APP_PACKAGES_FOLDER}"
    added.append(maker.bundle({f"{BUNDLE_FOLDER}/{path}": content for path, content in files.items()}))
    titles = {"org.opencontainers.image.title": "jacfn app", **(labels or {})}
    return extend(json.loads(runtime.config), runtime.layers, added, Process(environment=environment), titles)


def _of_pods(target: Target) -> list[str]:
    """What jacfn needs in a function pod and in the gateway: `jacfn[identity]` without jacfn itself."""
    jacfn = installed("jacfn")
    if jacfn is None:
        raise WheelsUnavailable("jacfn is not installed here", next_step="Install it: pip install 'jacfn[cli]'.")
    return [f"{item.name}{_extras(item)}{item.specifier}" for item in applying(jacfn, ("identity",), target)]


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""


def _labels(python: BasePython, pins: Iterable[str]) -> dict[str, str]:
    version = importlib.metadata.version("jacfn")
    return {
        "org.opencontainers.image.title": "jacfn runtime",
        "org.opencontainers.image.description": "Runs one endpoint of a Jac program, or the gateway of an app.",
        "org.opencontainers.image.version": version,
        JACFN: version,
        JACLANG: importlib.metadata.version("jaclang"),
        PYTHON: python.version,
        LIBC: f"{python.libc}-{2 if python.libc == 'glibc' else 1}.{python.libc_minor}",
        PACKAGES: " ".join(pins),
    }


def _process(python: BasePython) -> Process:
    environment = {
        "PYTHONPATH": PACKAGES_FOLDER,  # no site-packages: their .pth files would run at every start
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # what lies in the working directory is never imported
        "PYTHONNOUSERSITE": "1",
        "XDG_CACHE_HOME": CACHE_FOLDER,
        "HOME": _WRITABLE,
        "LANG": "C.UTF-8",
    }
    return Process((python.executable, "-m", "jacfn_runtime"), environment, _USER, _WRITABLE, _PORT)
