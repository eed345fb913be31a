"""Making the layers of our own, each kept in the cache under the hash of what went into it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from jacfn_knative.errors import ImageError
from jacfn_knative.image.base import BasePython, look
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.bytecode import compile_tree
from jacfn_knative.image.errors import WheelsUnavailable
from jacfn_knative.image.layer import write_layer
from jacfn_knative.image.model import Descriptor, Image, Layer, canonical
from jacfn_knative.image.requirements import Target
from jacfn_knative.image.source import Source
from jacfn_knative.image.wheels import metadata_of, pinned, resolve, unpack
from jacfn_knative.report import Event, Report

PACKAGES_FOLDER = "/opt/jacfn/lib"
CACHE_FOLDER = "/opt/jacfn/cache"
_FORMAT = 3  # raised when the same inputs give another layer, so that the cache does not answer for an older builder
_WARM_SECONDS = 120.0
Files = Mapping[str, Path | bytes]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes layers, or finds them in the cache."""

    blobs: Blobs
    report: Report

    def look_at(self, image: Image, name: str, source: Source, folder: Path) -> BasePython:
        """The Python of a base image. If it has to be read, its standard library is laid out in `folder`. Raises BaseUnfit."""
        key = _key("base", [layer.diff_id for layer in image.layers])
        record = self.blobs.record(key)
        if record and self._cached(_stdlib_key(image)):
            return BasePython(**record)
        self.report(Event("image", name, "reading the base image"))
        for layer in image.layers:
            source.fetch(layer)
        python = look([self.blobs.path(layer.blob.digest) for layer in image.layers], folder, name)
        self.blobs.remember(key, asdict(python))
        return python

    def bytecode(self, image: Image, folder: Path) -> Layer:
        """The bytecode of the standard library whose sources `look_at` laid out in `folder`."""

        def files(_: Path) -> Files:
            compile_tree(folder)
            return {path: file for path, file in files_below(folder).items() if path.endswith(".pyc")}

        return self.layer(_stdlib_key(image), "bytecode of the standard library", files)

    def wheels(
        self, roots: Sequence[str], target: Target, packages: str, sys_version: str = "", without: Sequence[str] = ()
    ) -> tuple[Layer, tuple[str, ...]]:
        """The layer with everything that `roots` (PEP 508) need on `target`, in the folder `packages`; and what that is, as pins.

        With the image's `sys_version` the caches of jaclang are filled too. Raises WheelsUnavailable.
        """
        known = pinned(roots, target, without).requirements
        key = _key("wheels", [sorted(known.items()), target.wheel_platforms, target.python, packages, sys_version])
        found: list[str] = []

        def files(folder: Path) -> Files:
            root = folder / "root"
            for wheel in resolve(roots, target, folder / "wheels", self.report, without).values():
                unpack(wheel, root / packages.lstrip("/"))
                found.append("{0.name}=={0.version}".format(metadata_of(wheel)))
            compile_tree(root)
            if sys_version:
                _warm_jaclang(root / CACHE_FOLDER.lstrip("/") / "jac" / "jir" / "bootstrap", packages, sys_version)
            return files_below(root)

        layer = self.layer(key, f"dependencies in {packages}", files)
        if found:
            self.blobs.remember(f"{key}-pins", {"pins": sorted(found)})
        record = self.blobs.record(f"{key}-pins") or {}
        return layer, tuple(record.get("pins") or sorted(known.values()))

    def jacfn(self) -> Layer:
        """The layer with jacfn's runtime: the package that is installed here, without the command line and the deployer."""
        spec = importlib.util.find_spec("jacfn_runtime")
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise WheelsUnavailable("jacfn_runtime is not installed here", next_step="Install jacfn[cli] anew.")
        home = Path(places[0])
        sources = {
            f"{PACKAGES_FOLDER}/jacfn_runtime{path}": file.read_bytes()
            for path, file in files_below(home).items()
            if _shipped(path)
        }
        about = importlib.metadata.distribution("jacfn")
        # Without entry points: jaclang would load the plugin of the command line, which is not in the image.
        sources[f"{PACKAGES_FOLDER}/jacfn-{about.version}.dist-info/METADATA"] = (about.read_text("METADATA") or "").encode()

        def files(folder: Path) -> Files:
            for path, content in sources.items():
                target = folder / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            compile_tree(folder)
            return files_below(folder)

        key = _key("jacfn", {path: hashlib.sha256(content).hexdigest() for path, content in sources.items()})
        return self.layer(key, f"jacfn {about.version}", files)

    def bundle(self, contents: Mapping[str, bytes]) -> Layer:
        """The layer with a bundle, by absolute path in the image."""
        key = _key("bundle", {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()})
        return self.layer(key, "bundle", lambda _: contents)

    def layer(self, key: str, comment: str, files: Callable[[Path], Files]) -> Layer:
        """The layer under this key. `files` is called, with an empty folder for its work, only if the cache does not have it."""
        cached = self._cached(key)
        if cached:
            return cached
        self.report(Event("image", comment, "making the layer"))
        with tempfile.TemporaryDirectory(prefix="jacfn-") as folder, self.blobs.new() as part:
            with part.open("wb") as out:
                made = write_layer(files(Path(folder)), out, comment)
            self.blobs.adopt(part, made.blob.digest)
        self.blobs.remember(key, {"blob": asdict(made.blob), "diff_id": made.diff_id, "comment": comment})
        return made

    def _cached(self, key: str) -> Layer | None:
        record = self.blobs.record(key)
        if record is None or not self.blobs.has(record["blob"]["digest"]):
            return None
        return Layer(Descriptor(**record["blob"]), record["diff_id"], None, record["comment"])


def files_below(folder: Path) -> dict[str, Path]:
    """The regular files below a folder, by their path as if it were `/`."""
    return {
        f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
    }


def _key(kind: str, inputs: object) -> str:
    """The name of a record: a hash over the inputs, this builder and the Python whose bytecode goes in."""
    return f"{kind}-{hashlib.sha256(canonical([_FORMAT, sys.version, inputs])).hexdigest()}"


def _stdlib_key(image: Image) -> str:
    return _key("stdlib", [layer.diff_id for layer in image.layers])


def _shipped(path: str) -> bool:
    """Whether a file of the package goes into the image: not what an editor, git or Python left in a checkout."""
    parts = path.strip("/").split("/")
    return not any(part.startswith(".") or part == "__pycache__" or part.endswith((".pyc", "~")) for part in parts)


def _warm_jaclang(folder: Path, packages: str, sys_version: str) -> None:
    """Fill jaclang's caches for the image. By the runtime's own module in a process of its own: this room knows no Jac."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "jacfn_runtime.program.warm", str(folder), packages, sys_version]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_WARM_SECONDS, check=False)
    if done.returncode:
        raise ImageError("jaclang's caches could not be made for the image", evidence=done.stderr[-500:])
