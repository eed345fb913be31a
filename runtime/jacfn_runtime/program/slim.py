"""The slim loader: jaclang's runtime from the bundle, without `jaclang/__init__` and without the compiler.

A module of jaclang that the bundle does not hold wakes the installed jaclang's own importer, which then serves that module and
what it imports; what is loaded already stays. `StepAside` tells of it: it costs a start more than the slim loader saves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.finder import BundleFinder
from jacfn_runtime.program.pack import Pack

Told = Callable[[str], None]


def start(pack: Pack, folder: str, told: Told | None) -> Any:
    """Import the slice's runtime module and answer it.

    `told` hears each module of jaclang that is not in the slice; with None such a module is an ImportError. Raises ProgramError
    where jaclang is imported already.
    """
    if "jaclang.jac0core.runtime" in sys.modules:
        raise ProgramError("jaclang is imported in this process already", next_step="Use the full loader.")
    # Topology indexes are blobs on a root that the last writer wins (facts/jaclang.md 4): wrong with more than one process.
    os.environ["JAC_TOPOLOGY_INDEX"] = "0"
    # jaclang's `.pth` file installs a finder that imports the whole package at the first `.jac` file it meets.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "_JacLazyFinder"]
    _use_snippets(pack)
    package = ModuleType("jaclang")
    package.__path__ = []
    sys.modules["jaclang"] = package
    BundleFinder(pack, folder, lambda name: name.startswith("jaclang."), lambda module: None).install()
    if told is not None:
        sys.meta_path.append(StepAside(told))
    from jaclang.jac0core import runtime

    for name in ("JacRuntime", "JacRuntimeImpl", "JacRuntimeInterface", "plugin_manager"):
        setattr(package, name, getattr(runtime, name))
    runtime.plugin_manager.register(runtime.JacRuntimeImpl)
    sys.modules["jaclang.runtimelib.runtime"] = runtime
    import jaclang.runtimelib.serializer  # noqa: F401  must precede the program's modules, or their nodes could not be read

    return runtime


def _use_snippets(pack: Pack) -> None:
    """Let `dataclasses` find the methods that it writes as source already compiled: the same source, so the same code."""
    import dataclasses

    snippets = pack.snippets()
    if not snippets:
        return

    def run(source: Any, *namespaces: Any) -> None:
        exec(snippets.get(source, source), *namespaces)  # noqa: S102  as dataclasses itself does

    dataclasses.exec = run  # type: ignore[attr-defined]  # a module's own name is found before the builtin


def undo() -> None:
    """Forget everything that `start` has brought in, so that the full loader can start in the same process."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, BundleFinder | StepAside)]
    for name in [name for name in sys.modules if name == "jaclang" or name.startswith("jaclang.")]:
        del sys.modules[name]


class StepAside:
    """Asked last: a module of jaclang that nobody has found comes from the installed package, by jaclang's own importer."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._importer: Any = None
        self._served: set[str] = set()
        self._waking = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Part of Python's import protocol."""
        if not name.startswith("jaclang.") or self._waking:
            return None
        if self._importer is None:
            self._waking = True
            try:
                self._importer = self._wake()
            finally:
                self._waking = False
        parent = sys.modules[name.rpartition(".")[0]]
        spec: ModuleSpec | None = self._importer.find_spec(name, parent.__path__) or PathFinder.find_spec(name, parent.__path__)
        if spec is not None:
            if not self._is_consequence():
                self._told(f"the slim loader lacks {name}: it comes from the installed jaclang")
            self._served.add(name)
        return spec

    def _is_consequence(self) -> bool:
        """Whether a module that was told of before is what imports now."""
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
            if frame.f_globals.get("__name__") in self._served:
                return True
        return False

    def _wake(self) -> Any:
        from importlib import metadata

        root = str(metadata.distribution("jaclang").locate_file("jaclang"))
        for package in ("jaclang", "jaclang.jac0core", "jaclang.runtimelib"):
            if package in sys.modules:
                sys.modules[package].__path__ = [root + package.removeprefix("jaclang").replace(".", "/")]
        resolver = sys.modules["jaclang.jac0core.modresolver"]
        from jaclang.meta_importer import JacMetaImporter

        sys.modules["jaclang.jac0core.modresolver"] = resolver  # the importer makes one of its own; there is one state
        return JacMetaImporter()
