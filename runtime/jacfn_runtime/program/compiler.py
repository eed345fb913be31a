"""Drives jaclang's compiler over a program's sources, without running user code and without writing into the project.

The sources are laid out in a temporary folder in modern spelling and compiled there; every path that the compiler puts into its
output is made relative to the program again, so that the same program gives the same code wherever it is compiled.
"""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.finder import MAIN_FLAG
from jacfn_runtime.program.sources import Import, Source, check_entry, collect, entry_module

_SHOWN_ERRORS = 5  # as many as fit on a screen; the first one usually causes the others


@dataclass(frozen=True, slots=True)
class Module:
    """One compiled module. `tree` is the compiler's tree of a Jac module; `code` is there if code was asked for."""

    source: Source
    tree: Any = None
    code: CodeType | None = None
    calls_model: bool = False


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program after compilation."""

    entry: str  # module name of the entry file
    modules: dict[str, Module]
    models: tuple[str, ...] = ()
    """Files that call a language model (`by llm`), which takes a plugin of jaclang."""
    remarks: tuple[str, ...] = ()
    """What the compiler calls an error and goes on from, each with file, line and column."""


def compile_program(entry: Path, *, code: bool, include: Iterable[str] = ()) -> Compiled:
    """Compile the entry file and all of the program's own modules that it reaches.

    `code=False` stops after parsing and matching declarations with their implementations: enough for a catalog. `include` are
    further source files relative to the entry's folder. Raises ProgramError with file, line and a caret.
    """
    entry = check_entry(entry)
    program = _new_program()
    with tempfile.TemporaryDirectory(prefix="jacfn-") as folder:
        staging = Path(folder).resolve()
        trees: dict[str, Any] = {}

        def imports_of(source: Source) -> Iterator[Import]:
            _stage(staging, source)
            trees[source.module] = _parse(program, staging, source)
            return _jac_imports(trees[source.module])

        sources = collect(entry, imports_of, include)
        remarks = tuple(dict.fromkeys(str(problem) for problem in _problems(program, staging)))
        if code:
            program = _new_program()  # a fresh one: trees of the first pass would be taken as compiled
            modules = {item.module: _compile(program, staging, item) for item in sources}
        else:
            modules = {item.module: Module(item, trees.get(item.module)) for item in sources}
        models = tuple(module.source.file for module in modules.values() if module.calls_model)
        return Compiled(entry_module(entry), modules, models, remarks)


def _new_program() -> Any:
    # A plugin has no say in compilation, and some cost seconds to import.
    disabled = os.environ.get("JAC_DISABLED_PLUGINS")
    os.environ["JAC_DISABLED_PLUGINS"] = "*"
    try:
        from jaclang.jac0core.passes import annex_pass
        from jaclang.jac0core.program import JacProgram
    finally:
        if disabled is None:
            del os.environ["JAC_DISABLED_PLUGINS"]
        else:
            os.environ["JAC_DISABLED_PLUGINS"] = disabled
    from jaclang.jac0core.bccache import discover_annex_files

    # The order of a folder's entries differs between file systems; the order of declarations must not.
    annex_pass.discover_annex_files = lambda path, suffix=".impl.jac": sorted(discover_annex_files(path, suffix))
    return JacProgram()


def _stage(staging: Path, source: Source) -> None:
    for item in (source, *source.annexes):
        path = staging / item.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(item.text or "", encoding="utf-8")


def _parse(program: Any, staging: Path, source: Source) -> Any:
    tree = _run_compiler(program, staging, source, symtab_ir_only=True, no_cgen=True)
    _refuse_errors(program, staging, source)
    return tree


def _run_compiler(program: Any, staging: Path, source: Source, **options: bool) -> Any:
    try:
        return program.compile(file_path=str(staging / source.file), **options)
    except Exception as error:  # whatever it is, it is the compiler's own fault
        raise ProgramError(
            f"jaclang's compiler failed on {source.file}",
            evidence=f"{type(error).__name__}: {error}",
            next_step="Try `jac check` on it, and report it to jaclang.",
        ) from error


def _compile(program: Any, staging: Path, source: Source) -> Module:
    if source.text is None:
        return Module(source)
    if not source.is_jac:
        return Module(source, code=_code(source.text, source))
    tree = _run_compiler(program, staging, source)
    if not tree.gen.py_ast:
        _refuse_errors(program, staging, source)
        raise ProgramError(f"{source.file} gives no code", next_step="Move client or native code out of the program.")
    python = _Relocate(staging).visit(tree.gen.py_ast[0])
    return Module(source, tree, _code(python, source), _calls_model(python))


def _code(python: str | ast.Module, source: Source) -> CodeType:
    try:
        return compile(python, source.file, "exec", dont_inherit=True, optimize=0)
    except SyntaxError as error:
        raise _error([_Problem(source.file, error.lineno or 1, error.offset or 1, error.msg)], (source,)) from error
    except ValueError as error:  # a tree that is none of Python's: jaclang tells no place
        raise ProgramError(
            f"jaclang's compiler makes no Python of {source.file}",
            evidence=str(error),
            next_step="Is something deleted or assigned to that cannot be? `del` and `=` take names, elements and attributes.",
        ) from error


def _calls_model(python: ast.Module) -> bool:
    imported = {alias.name for item in python.body if isinstance(item, ast.ImportFrom) for alias in item.names}
    return bool(imported & {"call_llm", "acall_llm"})


class _Relocate(ast.NodeTransformer):
    """Makes a generated module independent of where it was compiled, and of tests and `__main__`."""

    def __init__(self, staging: Path) -> None:
        self.prefix = f"{staging}{os.sep}"

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and self.prefix in node.value:
            node.value = node.value.replace(self.prefix, "")
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        if any(isinstance(item, ast.Call) and getattr(item.func, "id", "") == "jac_test" for item in node.decorator_list):
            return None
        return self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if ast.unparse(node) == "__name__ == '__main__'":
            return ast.copy_location(ast.Name(MAIN_FLAG, ast.Load()), node)
        return self.generic_visit(node)


def _jac_imports(tree: Any) -> Iterator[Import]:
    from jaclang.jac0core import unitree as uni
    from jaclang.jac0core.constant import CodeContext

    for module in (tree, *tree.impl_mod):
        for node in module.get_all_sub_nodes(uni.Import):
            if node.code_context != CodeContext.SERVER:
                continue
            optional = node.find_parent_of_type(uni.TryStmt) is not None
            if node.from_loc is not None:
                yield Import(node.from_loc.dot_path_str, tuple(item.name.value for item in node.items), optional)
            else:
                yield from (Import(item.dot_path_str, optional=optional) for item in node.items)


@dataclass(frozen=True, slots=True)
class _Problem:
    file: str
    line: int
    column: int
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def _problems(program: Any, staging: Path) -> list[_Problem]:
    """What the compiler found. As for jaclang itself, what the parser refuses, or what says so, keeps code from being made."""
    prefix = f"{staging}{os.sep}"
    return [
        _Problem(
            alert.loc.mod_path.removeprefix(prefix),
            alert.loc.first_line,
            alert.loc.col_start,
            alert.msg,
            fatal=alert.code is None or alert.code.blocks_codegen or ".parser" in alert.from_pass.__module__,
        )
        for alert in program.errors_had
    ]


def _refuse_errors(program: Any, staging: Path, source: Source) -> None:
    if fatal := [problem for problem in _problems(program, staging) if problem.fatal]:
        raise _error(fatal, (source, *source.annexes))


def _error(problems: list[_Problem], sources: tuple[Source, ...]) -> ProgramError:
    texts = {source.file: source.original.splitlines() for source in sources}
    excerpts = []
    for problem in problems[:_SHOWN_ERRORS]:
        lines = texts.get(problem.file, [])
        text = lines[problem.line - 1] if 0 < problem.line <= len(lines) else ""
        gutter = f"{problem.line:5} | "
        indent = "".join("\t" if char == "\t" else " " for char in text[: problem.column - 1])
        excerpts.append(f"{problem}\n{gutter}{text}\n{' ' * len(gutter)}{indent}^")
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ProgramError(f"{first.file} does not compile: line {first.line}: {first.message}{more}", evidence="\n".join(excerpts))
