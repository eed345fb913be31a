"""Makes a module of jaclang cheaper to import without changing what it does. Pure: works on syntax trees when a bundle is built.

Two ways: an import that the module itself needs late or never is made late (`defer_imports`), and a class or table that hardly
anybody asks for moves into a module of its own (`split`). Either way a module-level `__getattr__` answers whoever does ask.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping

type Statement = ast.Import | ast.ImportFrom


def defer_imports(tree: ast.Module, modules: Collection[str]) -> ast.Module:
    """Import these modules inside the functions that use them; one that is used while the module loads stays where it is."""
    late: dict[str, Statement] = {}
    body: list[ast.stmt] = []
    eager = _names_at_load(tree)
    for statement in tree.body:
        for single in _singles(statement):
            name = _bound_name(single) or ""
            if isinstance(single, ast.Import | ast.ImportFrom) and _module(single) in modules and name not in eager:
                late[name] = single
            else:
                body.append(single)
    tree.body = body
    for function in _outermost_functions(tree):
        used = sorted(_loads(function) & late.keys())
        start = 1 if ast.get_docstring(function) is not None else 0
        function.body[start:start] = [late[name] for name in used]
    return _answering(tree, {name: (_module(item), _attribute(item)) for name, item in late.items()})


def split(tree: ast.Module, keep: Collection[str], rest: str, own: str) -> tuple[ast.Module, ast.Module]:
    """Two modules: one that keeps only the definitions in `keep`, and the rest under the name `rest`, imported when asked for."""
    kept: list[ast.stmt] = []
    moved: list[ast.stmt] = []
    names: dict[str, tuple[str, str | None]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            kept.append(statement)
            moved.append(statement)
            continue
        defined = _defined(statement)
        if set(defined) & set(keep):
            kept.append(statement)
        else:
            moved.append(statement)
            names |= {name: (rest, name) for name in defined}
    position = next(place for place, item in enumerate(moved) if not isinstance(item, ast.Import | ast.ImportFrom))
    moved.insert(position, ast.ImportFrom(own, [ast.alias(name) for name in sorted(keep)], 0))
    return _answering(ast.Module(kept, []), names), _finished(ast.Module(moved, []))


def document(tree: ast.Module) -> ast.Module:
    """Give every class a docstring: for one without, `dataclasses` writes one from a signature that it has to inspect first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and ast.get_docstring(node) is None:
            node.body.insert(0, ast.Expr(ast.Constant(f"{node.name} of jaclang.")))
    return _finished(tree)


def replace_function(tree: ast.Module, name: str, source: str) -> ast.Module:
    """The module with the body of one of its functions replaced."""
    function = next(item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == name)
    function.body = ast.parse(source).body
    return _finished(tree)


def _answering(tree: ast.Module, names: Mapping[str, tuple[str, str | None]]) -> ast.Module:
    """The module with a `__getattr__` that imports these names: attribute of a module, or the module itself."""
    if names:
        tree.body += ast.parse(
            f"def __getattr__(name, _names={dict(sorted(names.items()))!r}):\n"
            "    if name not in _names:\n"
            "        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')\n"
            "    import importlib\n"
            "    module, attribute = _names[name]\n"
            "    value = importlib.import_module(module)\n"
            "    if attribute is not None:\n"
            "        value = getattr(value, attribute)\n"
            "    globals()[name] = value\n"
            "    return value\n"
        ).body
    return _finished(tree)


def _finished(tree: ast.Module) -> ast.Module:
    return ast.fix_missing_locations(tree)


def _singles(statement: ast.stmt) -> list[ast.stmt]:
    """One statement per imported name."""
    if isinstance(statement, ast.Import):
        return [ast.copy_location(ast.Import([alias]), statement) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
        return [
            ast.copy_location(ast.ImportFrom(statement.module, [alias], statement.level), statement) for alias in statement.names
        ]
    return [statement]


def _bound_name(statement: ast.stmt) -> str | None:
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return None
    alias = statement.names[0]
    return alias.asname or alias.name.partition(".")[0]


def _module(statement: ast.stmt) -> str:
    if isinstance(statement, ast.ImportFrom):
        return statement.module or ""
    return statement.names[0].name if isinstance(statement, ast.Import) else ""


def _attribute(statement: Statement) -> str | None:
    return statement.names[0].name if isinstance(statement, ast.ImportFrom) else None


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [statement.name]
    targets = (
        statement.targets
        if isinstance(statement, ast.Assign)
        else [statement.target]
        if isinstance(statement, ast.AnnAssign)
        else []
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _names_at_load(tree: ast.Module) -> set[str]:
    """Names that are read while the module is being imported: outside function bodies and, as they stay text, annotations."""
    names: set[str] = set()
    queue: list[ast.AST] = [*tree.body]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            queue += [*node.decorator_list, *node.args.defaults, *(item for item in node.args.kw_defaults if item)]
        elif isinstance(node, ast.AnnAssign):
            queue += [node.target, *([node.value] if node.value else [])]
        else:
            queue += ast.iter_child_nodes(node)
    return names


def _outermost_functions(tree: ast.AST) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        else:
            yield from _outermost_functions(node)


def _loads(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    names: set[str] = set()
    queue: list[ast.AST] = [*function.body]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            queue += [*node.body, *node.decorator_list, *node.args.defaults, *(item for item in node.args.kw_defaults if item)]
        elif isinstance(node, ast.AnnAssign):
            queue += [node.target, *([node.value] if node.value else [])]
        else:
            queue += ast.iter_child_nodes(node)
    return names
