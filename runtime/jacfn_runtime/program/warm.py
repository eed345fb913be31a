"""Fills jaclang's bootstrap cache for the Python of an image: `python -m jacfn_runtime.program.warm FOLDER PACKAGES SYS_VERSION`.

A fresh container has no ~/.cache/jac, so the full loader would transpile jaclang at every start: 0.8 s (facts/jaclang.md 6).
The image's builder runs this and bakes the result. jaclang keys an entry by `sys.version`, by the sources and by the paths of
their implementation files, so all three are the image's; its other modules are precompiled in its wheel and need nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path


def warm(folder: Path, packages: str, version: str) -> int:
    """Write the cache entries of all bootstrap modules to `folder`, for a jaclang that lies in `packages` under `version`.

    `packages` is the image's folder of packages; the jaclang is the one of this environment. Returns the number of entries. A
    module that the bootstrap transpiler does not understand is none that jaclang bootstraps, and is left out.
    """
    from jaclang import meta_importer

    home = Path(str(meta_importer.__file__)).parent
    meta_importer.get_bootstrap_cache_dir = lambda: folder
    ours, sys.version = sys.version, version
    try:
        for module in sorted((home / "jac0core").rglob("*.jac")):
            if not module.name.endswith(".impl.jac"):
                _compile(module, home, packages)
    finally:
        sys.version = ours
    return len(list(folder.glob("*.jbc")))


def _compile(module: Path, home: Path, packages: str) -> None:
    """What `JacMetaImporter._exec_bootstrap` does, with the image's paths, and without running the module."""
    from jaclang import jac0, meta_importer

    def there(path: Path) -> str:
        return f"{packages}/jaclang/{path.relative_to(home).as_posix()}"

    implementations = [Path(path) for path in jac0.discover_impl_files(str(module))]
    sources = [(path.read_text(encoding="utf-8"), there(path)) for path in implementations]
    try:
        meta_importer._bootstrap_compile(there(module), module.read_text(encoding="utf-8"), sources or None)
    except (jac0.ParseError, SyntaxError):
        return


if __name__ == "__main__":
    warm(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
