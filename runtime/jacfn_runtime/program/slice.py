"""The slice of jaclang that compiled programs run on, as code for `code.bin`. Used when a bundle is built.

The list was found by running programs without it and looking at what they asked for; what is not in it makes the slim loader step
aside. jaclang is pinned to one minor version for this list's sake (design 6.1), and every build runs what it ships.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from jacfn_runtime.program import diet
from jacfn_runtime.program.pack import Packed
from jacfn_runtime.program.proxies import proxies_source

# jaclang's core, which its bootstrap transpiler turns into Python: here the trees can be trimmed.
_CORE = (
    "archetype",
    "constant",
    "constructs",
    "jaclib",
    "modresolver",
    "mtp",
    "osp_kernel",
    "osp_kernel_sv",
    "plugin",
    "runtime",
)
# What the core imports when it is used; made by the full compiler, taken as it is.
_LIBRARY = (
    "builtin", "changeset", "context", "exceptions", "memory", "planner", "query_plan", "schema_rules", "serializer",
    "topo_utils", "topology_index", "typecache", "utils",
)  # fmt: skip
_PACKAGES = {"jaclang.jac0core": "jac0core/__init__.py", "jaclang.runtimelib": "runtimelib/__init__.jac"}

# Imported by the core for annotations, or for functions that a request never reaches.
_LATE = {"fnmatch", "html", "http.server", "importlib.metadata", "importlib.util", "pathlib", "pickle", "jaclang.jac0core.mtp"}
# Of `constant` the runtime uses these; the rest is the compiler's: 300 enum members.
_CONSTANTS = ("CodeContext", "Constants", "EdgeDir", "colors")


@cache
def jaclang_slice() -> dict[str, Packed]:
    """The slice's modules, their files named `jaclang/...` as in site-packages."""
    import jaclang

    package = Path(jaclang.__file__).parent
    packed = {
        name: Packed(_compile(ast.parse(""), f"jaclang/{file}"), True, f"jaclang/{file}") for name, file in _PACKAGES.items()
    }
    for name in _CORE:
        file = f"jaclang/jac0core/{name}.jac"
        for module, tree in _trimmed(name, _core_tree(package / "jac0core" / f"{name}.jac")).items():
            packed[f"jaclang.jac0core.{module}"] = Packed(_compile(tree, file), False, file)
    proxies = "jaclang/jac0core/jacfn_proxies.py"
    packed["jaclang.jac0core.jacfn_proxies"] = Packed(_compile(ast.parse(proxies_source()), proxies), False, proxies)
    for name in _LIBRARY:
        file = f"jaclang/runtimelib/{name}.jac"
        packed[f"jaclang.runtimelib.{name}"] = Packed(_library_code(package, name), False, file)
    return packed


def _core_tree(path: Path) -> ast.Module:
    from jaclang.jac0 import compile_jac, discover_impl_files

    impls = [(Path(impl).read_text(encoding="utf-8"), impl) for impl in sorted(discover_impl_files(str(path)))]
    source: str = compile_jac(path.read_text(encoding="utf-8"), str(path), impl_sources=impls or None)
    return ast.parse(source)


def _trimmed(name: str, tree: ast.Module) -> dict[str, ast.Module]:
    if name == "constant":
        kept, rest = diet.split(tree, _CONSTANTS, "jaclang.jac0core.jacfn_constants", "jaclang.jac0core.constant")
        return {"constant": kept, "jacfn_constants": rest}
    if name == "runtime":
        tree = diet.replace_function(
            tree,
            "generate_plugin_helpers",
            "from jacfn_runtime.program import dispatch\n"
            "return dispatch.helpers(plugin_class, plugin_manager, plugin, _AGGREGATING_HOOKS)",
        )
    return {name: diet.document(diet.defer_imports(tree, _LATE))}


def _compile(tree: ast.Module, file: str) -> CodeType:
    return compile(tree, file, "exec", dont_inherit=True, optimize=0)


def _library_code(package: Path, name: str) -> CodeType:
    from jaclang.jac0core.runtime import JacRuntime

    path = str(package / "runtimelib" / f"{name}.jac")
    code: CodeType = JacRuntime.get_compiler().get_bytecode(full_target=path, target_program=JacRuntime.get_program())
    return _relative(code, f"{package.parent}/")


def _relative(code: CodeType, prefix: str) -> CodeType:
    """The same code with every path, also those in constants, relative to site-packages."""

    def constant(value: Any) -> Any:
        if isinstance(value, CodeType):
            return _relative(value, prefix)
        return value.removeprefix(prefix) if isinstance(value, str) else value

    constants = tuple(map(constant, code.co_consts))
    return code.replace(co_filename=code.co_filename.removeprefix(prefix), co_consts=constants)
