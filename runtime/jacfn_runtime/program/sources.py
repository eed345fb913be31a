"""A program's source files: the entry file and everything of its own that it imports, found by reading import statements.

A module belongs to the program when its file lies under the entry file's folder. Everything else is a dependency.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.modern import Rewrite, modernize

_SUFFIXES = (".jac", ".sv.jac", ".py")  # in the order in which jaclang's importer looks


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: `from <module> import <names>`, or `import <module>` without names. Leading dots are in `module`."""

    module: str
    names: tuple[str, ...] = ()
    optional: bool = False  # inside `try`: the program goes on without it


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the program. A namespace package is a folder without code: its `text` is None."""

    module: str
    file: str  # relative to the entry file's folder, with forward slashes
    is_package: bool
    text: str | None  # in modern spelling, as it is compiled
    original: str = ""  # as the author wrote it
    rewrites: tuple[Rewrite, ...] = ()
    annexes: tuple[Source, ...] = ()  # `main.impl.jac` and the like, which are compiled into their module
    needs: frozenset[str] = frozenset()  # top-level modules outside the program that it imports, unless it can do without

    @property
    def is_jac(self) -> bool:
        """Whether this is Jac and not Python."""
        return self.file.endswith(".jac")


def entry_module(entry: Path) -> str:
    """The module name under which the entry file is imported: its stem, the same as under `jac start`."""
    return entry.name.removesuffix(".jac").removesuffix(".sv")


def collect(entry: Path, imports_of: Callable[[Source], Iterable[Import]], include: Iterable[str] = ()) -> tuple[Source, ...]:
    """All source files that the entry file reaches, sorted by module name.

    `imports_of` reads the import statements of a Jac source; Python ones are read here. `include` names further files, relative
    to the entry's folder, that nothing imports by name. Raises ProgramError if the entry file is not there or not text.
    """
    root = check_entry(entry).parent
    found: dict[str, Source] = {}
    queue = [_load(root, entry_module(entry), entry.name, is_package=False)]
    queue += [_load(root, module, file, is_package=package) for module, file, package in map(_module_of, include)]
    while queue:
        source = queue.pop()
        if source.module in found:
            continue
        imports = list(() if source.text is None else imports_of(source) if source.is_jac else _python_imports(source))
        needs = {item.module.partition(".")[0] for item in imports if not item.optional}
        found[source.module] = replace(
            source, needs=frozenset(name for name in needs if name and find_module(root, name) is None)
        )
        for name in {target for item in imports for target in _targets(source, item)}:
            if name not in found and (location := find_module(root, name)) is not None:
                queue.append(_load(root, name, *location))
    return tuple(found[name] for name in sorted(found))


def check_entry(entry: Path) -> Path:
    """The absolute path of an entry file. Raises ProgramError if it cannot be one."""
    if entry.suffix != ".jac":
        raise ProgramError(f"{entry} is not a Jac file", next_step="Name a file that ends in .jac.")
    if not entry.is_file():
        raise ProgramError(
            f"There is no file {entry}", next_step="Name the program's entry file, or run this where main.jac lies."
        )
    if "." in entry_module(entry):
        raise ProgramError(
            f"{entry} has a dot in its name, so it is no module that can be imported",
            next_step="Rename it, or name another file.",
        )
    return entry.absolute()


def find_module(root: Path, name: str) -> tuple[str, bool] | None:
    """The file of a dotted module name under `root` and whether it is a package; None if the program has no such module."""
    base = PurePosixPath(*name.split("."))
    folder = root / base
    if folder.is_dir():
        for suffix in _SUFFIXES:
            if (folder / f"__init__{suffix}").is_file():
                return str(base / f"__init__{suffix}"), True
    for suffix in _SUFFIXES:
        if (root / f"{base}{suffix}").is_file():
            return f"{base}{suffix}", False
    if folder.is_dir() and any(child.suffix in (".jac", ".py") for child in folder.iterdir()):
        return str(base), True
    return None


def _load(root: Path, module: str, file: str, is_package: bool) -> Source:
    path = root / file
    if path.is_dir():
        return Source(module=module, file=file, is_package=True, text=None)
    original = _read(path)
    text, rewrites = modernize(original) if file.endswith(".jac") else (original, ())
    annexes = tuple(_load(root, module, annex, is_package=False) for annex in _annexes(root, file))
    return Source(module, file, is_package, text, original, rewrites, annexes)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProgramError(f"{path} cannot be read", evidence=str(error), next_step="Save it as UTF-8 text.") from error


def _annexes(root: Path, file: str) -> list[str]:
    """Where jaclang looks for `impl` files of a module: beside it, in `<stem>.impl/` and in `impl/`."""
    path = PurePosixPath(file)
    if path.suffix != ".jac" or ".impl." in path.name:
        return []
    stem = path.name.removesuffix(".jac").removesuffix(".sv")
    patterns = (
        (path.parent, f"{stem}.*impl.jac"),
        (path.parent / f"{stem}.impl", "*.impl.jac"),
        (path.parent / "impl", f"{stem}.*impl.jac"),
    )
    return sorted({str(folder / found.name) for folder, pattern in patterns for found in (root / folder).glob(pattern)})


def _targets(source: Source, item: Import) -> Iterator[str]:
    """Every module name that an import statement may mean, parents included: importing `a.b` runs `a` first."""
    bare = item.module.lstrip(".")
    if level := len(item.module) - len(bare):
        package = source.module.split(".")
        package = package[: len(package) - level + (1 if source.is_package else 0)]
        bare = ".".join([*package, bare] if bare else package)
    parts = bare.split(".") if bare else []
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
    for name in item.names:
        yield ".".join([*parts, name])


def _python_imports(source: Source) -> Iterator[Import]:
    try:
        tree = ast.parse(source.text or "")
    except SyntaxError as error:
        raise ProgramError(f"{source.file}:{error.lineno or 1}: {error.msg}", evidence=(error.text or "").rstrip()) from error
    optional = {inner for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, optional=node in optional) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import("." * node.level + (node.module or ""), names, node in optional)


def _module_of(file: str) -> tuple[str, str, bool]:
    """Module name, file and packageness of an included source file."""
    path = PurePosixPath(file)
    stem = path.name.removesuffix(".py").removesuffix(".jac").removesuffix(".sv")
    package = stem == "__init__"
    return ".".join([*path.parent.parts, *([] if package else [stem])]), file, package
