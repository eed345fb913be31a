"""What a program declares, read from the compiler's tree: walkers, functions, objects, nodes and enums, in the author's spelling.

Names are resolved the way the program sees them: own declarations, `import from` (aliases too, over several modules), `include`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jacfn_runtime.program.compiler import Compiled, Module

Kind = Literal["walker", "function", "node", "edge", "obj", "enum"]
_KINDS: Mapping[str, Kind] = {
    "KW_WALKER": "walker", "KW_NODE": "node", "KW_EDGE": "edge", "KW_OBJECT": "obj", "KW_CLASS": "obj"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an archetype that its constructor takes, or a parameter of a function. Texts are as the author wrote them."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Declaration:
    """One walker, function, object, node, edge or enum."""

    kind: Kind
    name: str
    module: str
    file: str
    line: int
    access: str = ""
    is_async: bool = False
    is_abstract: bool = False
    doc: str = ""
    returns: str = ""
    fields: tuple[Field, ...] = ()
    bases: tuple[str, ...] = ()
    own_init: bool = False  # `def init`: the fields are its parameters, and nothing is inherited
    members: tuple[tuple[str, str | None], ...] = ()  # of an enum


@dataclass(slots=True)
class Declarations:
    """All declarations of a program, and what each name means in each module."""

    entry: str
    _modules: dict[str, dict[str, Declaration]] = field(default_factory=dict)
    _imports: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # module -> local name -> (module, name)
    _included: dict[str, list[str]] = field(default_factory=dict)

    def names(self, module: str) -> set[str]:
        """Every name of a declaration that the module sees."""
        return self._names(module, set())

    def _names(self, module: str, seen: set[str]) -> set[str]:
        if module in seen or module not in self._modules:
            return set()
        seen.add(module)
        imported = {name for name in self._imports[module] if self.find(module, name) is not None}
        return set(self._modules[module]) | imported | {n for inc in self._included[module] for n in self._names(inc, seen)}

    def find(self, module: str, name: str) -> Declaration | None:
        """What `name` means in `module`; None if it is not a declaration of the program. `util.Shape` works as well."""
        return self._find(module, name, set())

    def _find(self, module: str, name: str, seen: set[tuple[str, str]]) -> Declaration | None:
        if (module, name) in seen or module not in self._modules:
            return None
        seen.add((module, name))
        if found := self._modules[module].get(name):
            return found
        if name in self._imports[module]:
            return self._find(*self._imports[module][name], seen)
        package, _, last = name.rpartition(".")
        if package and (found := self._modules.get(package, {}).get(last)):
            return found
        return next((hit for inc in self._included[module] if (hit := self._find(inc, name, seen))), None)

    def fields(self, declaration: Declaration) -> tuple[Field, ...]:
        """What the constructor or function takes, inherited fields first."""
        found: dict[str, Field] = {}
        if not declaration.own_init:
            for base in reversed(declaration.bases):
                parent = self.find(declaration.module, base)
                if parent is not None and parent is not declaration:
                    found |= {item.name: item for item in self.fields(parent)}
        return tuple((found | {item.name: item for item in declaration.fields}).values())


def read_declarations(compiled: Compiled) -> Declarations:
    """Read every Jac module of a compiled program."""
    declarations = Declarations(compiled.entry)
    for name, module in compiled.modules.items():
        if module.tree is not None:
            reader = _Reader(name, module, frozenset(compiled.modules))
            declarations._modules[name] = {item.name: item for item in reader.declarations()}
            declarations._imports[name], declarations._included[name] = reader.imports()
    return declarations


class _Reader:
    """Reads one module's tree."""

    def __init__(self, name: str, module: Module, modules: frozenset[str]) -> None:
        from jaclang.jac0core import unitree
        from jaclang.jac0core.constant import CodeContext

        self.uni, self.server = unitree, CodeContext.SERVER
        self.name, self.source, self.modules = name, module.source, modules
        self.trees = (module.tree, *module.tree.impl_mod)
        self.files = {item.file: (item.text or "").encode() for item in (self.source, *self.source.annexes)}

    def statements(self) -> Iterator[tuple[Any, str]]:
        """Top-level statements that run on the server, each with its file."""
        queue = [(statement, self._file(tree)) for tree in self.trees for statement in tree.body]
        for statement, file in queue:
            if isinstance(statement, self.uni.ServerBlock):
                queue += [(inner, file) for inner in statement.body]
            elif getattr(statement, "code_context", self.server) == self.server:
                yield statement, file

    def declarations(self) -> Iterator[Declaration]:
        for statement, file in self.statements():
            if isinstance(statement, self.uni.Archetype) and statement.arch_type.name in _KINDS:
                yield self._archetype(statement, file)
            elif isinstance(statement, self.uni.Enum):
                yield self._enum(statement, file)
            elif isinstance(statement, self.uni.Ability) and isinstance(statement.signature, self.uni.FuncSignature):
                yield Declaration(
                    kind="function",
                    name=statement.name_ref.sym_name,
                    is_async=bool(statement.is_async),
                    returns=self._text(statement.signature.return_type, file),
                    fields=self._parameters(statement.signature, file),
                    **self._common(statement, statement.name_ref, file),
                )

    def imports(self) -> tuple[dict[str, tuple[str, str]], list[str]]:
        """Names that come from the program's other modules, and modules whose names all come (`include`, `import from x {*}`)."""
        named: dict[str, tuple[str, str]] = {}
        included: list[str] = []
        for statement, _ in self.statements():
            if not isinstance(statement, self.uni.Import):
                continue
            if statement.from_loc is None:
                included += [self._absolute(item.dot_path_str) for item in statement.items if statement.is_absorb]
                continue
            module = self._absolute(statement.from_loc.dot_path_str)
            for item in statement.items if module in self.modules else ():
                if item.name.value == "*":
                    included.append(module)
                else:
                    named[(item.alias or item.name).value] = (module, item.name.value)
        return named, included

    def _absolute(self, dotted: str) -> str:
        bare = dotted.lstrip(".")
        if not (level := len(dotted) - len(bare)):
            return bare
        package = self.name.split(".")
        package = package[: len(package) - level + (1 if self.source.is_package else 0)]
        return ".".join([*package, bare] if bare else package)

    def _archetype(self, node: Any, file: str) -> Declaration:
        init = next((item for item in node.get_methods() if item.name_ref and item.name_ref.sym_name == "init"), None)
        own = tuple(
            Field(item.name.value.lstrip("`"), self._type(item, file), self._text(item.value, file) or None)
            for item in node.get_has_vars()
            if not item.defer and not item.parent.is_static
        )
        return Declaration(
            kind=_KINDS[node.arch_type.name],
            name=node.name.value,
            is_async=bool(node.is_async),
            is_abstract=bool(node.is_abstract),
            fields=own if init is None else self._parameters(init.signature, file),
            bases=tuple(self._text(base, file) for base in node.base_classes or ()),
            own_init=init is not None,
            **self._common(node, node.name, file),
        )

    def _enum(self, node: Any, file: str) -> Declaration:
        body = node.body if isinstance(node.body, (list, tuple)) else getattr(node.body, "body", None) or ()
        members = [
            (target.value, self._text(item.value, file) or None)
            for item in body
            if isinstance(item, self.uni.Assignment)
            for target in item.target
            if isinstance(target, self.uni.Name)
        ]
        bases = tuple(self._text(base, file) for base in node.base_classes or ())
        return Declaration(
            kind="enum", name=node.name.value, bases=bases, members=tuple(members), **self._common(node, node.name, file)
        )

    def _parameters(self, signature: Any, file: str) -> tuple[Field, ...]:
        """Parameters that can be passed by name."""
        taken = [*(signature.params or ()), *signature.kwonlyargs]
        return tuple(
            Field(item.name.value.lstrip("`"), self._type(item, file), self._text(item.value, file) or None)
            for item in taken
            if item.name.value != "self"
        )

    def _common(self, node: Any, name: Any, file: str) -> dict[str, Any]:
        return {
            "module": self.name,
            "file": file,
            "line": name.loc.first_line,  # the declaration itself begins with its docstring
            "access": node.access.tag.value if node.access else "",
            "doc": inspect.cleandoc(node.doc.lit_value) if node.doc else "",
        }

    def _type(self, node: Any, file: str) -> str:
        return self._text(node.type_tag.tag, file) if node.type_tag else "any"

    def _text(self, node: Any, file: str) -> str:
        """The source text of an expression, on one line. The compiler counts positions in bytes."""
        return " ".join(self.files[file][node.loc.pos_start : node.loc.pos_end].decode().split()) if node is not None else ""

    def _file(self, tree: Any) -> str:
        return next(file for file in self.files if tree.loc.mod_path.endswith(f"/{file}"))
