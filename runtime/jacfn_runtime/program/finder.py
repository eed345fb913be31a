"""Imports from a bundle: a finder on `sys.meta_path` that gives modules their code from `code.bin`. Nothing is compiled.

Imports nothing but the interpreter's own modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from jacfn_runtime.program.pack import Pack

MAIN_FLAG = "__jacfn_main__"
"""The module variable that stands in for `__name__ == "__main__"`: a program is never imported as `__main__`, because a class's
identity in the store is `module.Class` (facts/jaclang.md 2, pitfall 2)."""

Before = Callable[[ModuleType], None]
"""Called with each module before its code runs."""


class BundleFinder:
    """Finds the modules of a pack that `wanted` lets through; `folder` is where their files are said to be."""

    def __init__(self, pack: Pack, folder: str, wanted: Callable[[str], bool], before: Before) -> None:
        self.pack = pack
        self.folder = folder
        self.names = frozenset(name for name in pack.index if name and wanted(name))
        self._before = before

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Part of Python's import protocol."""
        if name not in self.names:
            return None
        _, size, is_package, file = self.pack.index[name]
        origin = f"{self.folder}/{file}"
        spec = ModuleSpec(name, self, origin=origin, is_package=is_package)  # type: ignore[arg-type]  # a loader by its methods
        if size:
            spec.has_location = True
        if is_package:
            spec.submodule_search_locations = [origin.rpartition("/")[0] if size else origin]
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Part of Python's import protocol: the default is right."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Part of Python's import protocol."""
        code = self.pack.code(module.__name__)
        if code is not None:
            self._before(module)
            exec(code, module.__dict__)  # noqa: S102  that is what an importer does

    def get_resource_reader(self, name: str) -> Any:
        """Part of `importlib.resources`: a package's data files lie beside where its code would."""
        from importlib.readers import FileReader
        from types import SimpleNamespace

        return FileReader(SimpleNamespace(path=f"{self.folder}/{self.pack.entry(name).file}"))  # type: ignore[arg-type]

    def get_data(self, path: str) -> bytes:
        """Part of `pkgutil.get_data`."""
        with open(path, "rb") as file:  # noqa: PTH123  nothing else here needs pathlib
            return file.read()

    def install(self) -> None:
        """Look here before anywhere else: jaclang's own importer, which compiles, may stand first already."""
        sys.meta_path.insert(0, self)
