"""Loads a bundle: starts jaclang's runtime, slim or full, and imports the program's modules from `code.bin`."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from jacfn_runtime.errors import BundleMismatch, JacfnError, ProgramError
from jacfn_runtime.program import hooks, slim
from jacfn_runtime.program.catalog import Catalog
from jacfn_runtime.program.finder import MAIN_FLAG, BundleFinder
from jacfn_runtime.program.manifest import Manifest, check_interpreter, check_jaclang, check_whole, read_manifest
from jacfn_runtime.program.pack import Pack
from jacfn_runtime.program.scratch import scratch_context

Loader = Literal["slim", "full"]


class Program:
    """A loaded program. One per process: its modules are in `sys.modules`.

    Modules are imported at the first `target`, under a context that forgets: `with entry` blocks write nowhere. `run_entry`
    imports them afresh under the caller's context; targets taken before it belong to classes that are gone.
    """

    def __init__(self, manifest: Manifest, folder: Path, runtime: Any, pack: Pack, loader: Loader, steps: list[str]) -> None:
        self.manifest = manifest
        self._steps = steps
        self.loader: Loader = loader
        self._folder = folder
        self._runtime = runtime
        self._entry = manifest.catalog.entry.removesuffix(".jac").removesuffix(".sv")
        self._names = frozenset(name for name in pack.index if pack.entry(name).file.startswith("src/"))
        self._main = False
        self._module: ModuleType | None = None
        self._lock = threading.RLock()
        BundleFinder(pack, str(folder), lambda name: not name.startswith("jaclang."), self._before).install()

    @property
    def catalog(self) -> Catalog:
        """The program's endpoints."""
        return self.manifest.catalog

    @property
    def hash(self) -> str:
        """The bundle's content hash."""
        return self.manifest.hash

    @property
    def steps_aside(self) -> tuple[str, ...]:
        """Why the slim loader has stepped aside so far: empty is what it should be."""
        return tuple(self._steps)

    def target(self, endpoint_id: str) -> Any:
        """The walker class or function behind an endpoint. Raises KeyError, and ProgramError if the program does not import."""
        endpoint = self.catalog[endpoint_id]
        with self._lock:
            if self._module is None:
                with scratch_context(self._runtime):
                    self._import()
            return getattr(self._module, endpoint.name)

    def run_entry(self, main: bool = False) -> None:
        """Run the modules' bodies for real, `with entry` blocks included, under the context that the caller has pushed.

        `main` runs `with entry:__main__` as well. Called again, it runs them again, as the replay of a conflict needs it.
        Raises ProgramError with file and line if the program raises.
        """
        with self._lock:
            self._forget()
            self._main = main
            try:
                self._import()
            except BaseException:
                self._forget()
                raise
            finally:
                self._main = False

    def _import(self) -> None:
        try:
            module = importlib.import_module(self._entry)
        except JacfnError:
            raise
        except Exception as error:
            raise _import_error(self.catalog.entry, error, self._folder) from error
        hooks.prepare([sys.modules[name] for name in self._names if name in sys.modules])
        self._module = module

    def _forget(self) -> None:
        self._module = None
        for name in self._names:
            sys.modules.pop(name, None)

    def _before(self, module: ModuleType) -> None:
        module.__dict__[MAIN_FLAG] = self._main and module.__name__ == self._entry
        if module.__name__ in self._names:
            self._runtime.JacRuntimeInterface.load_module(module.__name__, module)


def load(folder: Path, loader: Literal["slim", "full", "auto"] = "auto", told: Callable[[str], None] | None = None) -> Program:
    """Load the bundle in `folder`.

    `auto` is slim that steps aside, for single modules of jaclang that the bundle lacks or altogether. `told` hears of it each
    time; by default it is logged as a warning. Raises ProgramError if there is no bundle, BundleMismatch if it does not fit this
    interpreter or this jaclang or is not as it was built.
    """
    folder = folder.absolute()
    manifest = read_manifest(folder)
    check_interpreter(manifest)
    check_jaclang(manifest)
    code = read_code(folder)
    check_whole(folder, manifest, code)
    try:
        pack = Pack(code)
    except (ValueError, EOFError, TypeError) as error:
        raise BundleMismatch(
            f"{folder / 'code.bin'} is damaged", evidence=str(error), next_step="Build the bundle again."
        ) from error
    # Where tracebacks find source lines, and plugins of jaclang and data files of dependencies are looked for.
    sys.path[:0] = [str(place) for place in (folder / "src", folder / "site") if place.is_dir()]
    steps: list[str] = []

    def step_aside(reason: str) -> None:
        steps.append(reason)
        (told or _log)(reason)

    runtime: Any = None
    # Where jaclang is imported already, as in a tool, the full loader costs nothing and a second jaclang would be wrong.
    present = "jaclang.jac0core.runtime" in sys.modules
    if loader == "slim" or (loader == "auto" and manifest.slim and not present):
        try:
            runtime = slim.start(pack, str(folder), step_aside if loader == "auto" else None)
        except Exception as error:
            if loader == "slim" or isinstance(error, JacfnError):
                raise
            slim.undo()
            step_aside(f"the slim loader does not start ({type(error).__name__}: {error}): the full one takes over")
    used: Loader = "full" if runtime is None else "slim"
    if runtime is None:
        from jacfn_runtime.program import full

        runtime = full.start(manifest.plugins)
    hooks.install(runtime)
    return Program(manifest, folder, runtime, pack, used, steps)


def _log(reason: str) -> None:
    import logging

    logging.getLogger("jacfn.program").warning(reason)


def read_code(folder: Path) -> bytes:
    """The bytes of `code.bin`, or of its parts `code.bin.0`, `code.bin.1`, ...: a ConfigMap holds 1 MiB."""
    whole = folder / "code.bin"
    if whole.is_file():
        return whole.read_bytes()
    parts: list[bytes] = []
    while (part := folder / f"code.bin.{len(parts)}").is_file():
        parts.append(part.read_bytes())
    if not parts:
        raise ProgramError(f"There is no code.bin in {folder}", next_step="Make a bundle with `jacfn bundle main.jac -o DIR`.")
    return b"".join(parts)


def _import_error(entry: str, error: Exception, folder: Path) -> ProgramError:
    import traceback

    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not Path(frame.filename).is_absolute()]
    own = [f"{frame.filename}:{frame.lineno}: {frame.line}" for frame in frames if (folder / "src" / frame.filename).is_file()]
    return ProgramError(
        f"{entry} does not import: {type(error).__name__}: {error}",
        evidence="\n".join(own[-3:]),
        next_step="Modules and `with entry` blocks run when the program is loaded: mend what raises there.",
    )
