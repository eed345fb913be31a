"""JSON Schemas from type expressions, without running the program. Pure.

The dialect is JSON Schema 2020-12, which OpenAPI 3.1 uses. A type that the program does not declare and JSON does not know, such
as a class of a library, allows anything: the check at run time then lets it through as well.
"""

from __future__ import annotations

import ast
from typing import Any

from jacfn_runtime.program.declarations import Declaration, Declarations, Field

type Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
_SCALARS: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "None": {"type": "null"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "timedelta": {"type": "string", "format": "duration"},
    "UUID": {"type": "string", "format": "uuid"},
    "Decimal": {"type": "string", "format": "decimal"},
    "list": {"type": "array"},
    "dict": {"type": "object"},
    "tuple": {"type": "array"},
    "set": {"type": "array", "uniqueItems": True},
    "frozenset": {"type": "array", "uniqueItems": True},
}
_ARRAYS = {"list", "List", "Sequence", "Iterable"}
_SETS = {"set", "Set", "frozenset", "FrozenSet"}
_OBJECTS = {"dict", "Dict", "Mapping"}


class Schemas:
    """Builds schemas and collects the definitions that they refer to."""

    def __init__(self, declarations: Declarations) -> None:
        self.declarations = declarations
        self.definitions: dict[str, Schema] = {}
        self._names: dict[tuple[str, str], str] = {}

    def of_body(self, declaration: Declaration) -> Schema:
        """The request body of a walker or a function: an object, unknown keys refused."""
        return self._object(declaration)

    def of_type(self, text: str, module: str) -> Schema:
        """The schema of a type expression as `module` spells it; `{}`, which allows anything, if it says nothing."""
        try:
            tree = ast.parse(text.replace("`", ""), mode="eval").body
        except SyntaxError:
            return {}
        return self._expression(tree, module)

    def _expression(self, node: ast.expr, module: str) -> Schema:
        match node:
            case ast.Constant(value=None):
                return _SCALARS["None"]
            case ast.Constant(value=str() as text):
                return self.of_type(text, module)
            case ast.BinOp(op=ast.BitOr()):
                return _union([self._expression(node.left, module), self._expression(node.right, module)])
            case ast.Subscript(value=base, slice=inner):
                arguments = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
                return self._generic(ast.unparse(base).rpartition(".")[2], arguments, module)
            case ast.Name() | ast.Attribute():
                return self._named(ast.unparse(node), module)
        return {}

    def _named(self, name: str, module: str) -> Schema:
        found = self.declarations.find(module, name)
        if found is not None and found.kind != "function":
            return {"$ref": _PREFIX + self._define(found)}
        return dict(_SCALARS.get(name.rpartition(".")[2], {}))

    def _generic(self, base: str, arguments: list[ast.expr], module: str) -> Schema:
        if base == "Optional":
            return _union([self._expression(arguments[0], module), _SCALARS["None"]])
        if base == "Union":
            return _union([self._expression(item, module) for item in arguments])
        if base == "Literal":
            return {"enum": [item.value for item in arguments if isinstance(item, ast.Constant)]}
        if base in _ARRAYS | _SETS:
            unique = {"uniqueItems": True} if base in _SETS else {}
            return {"type": "array", "items": self._expression(arguments[0], module), **unique}
        if base in _OBJECTS:
            return {"type": "object", "additionalProperties": self._expression(arguments[-1], module)}
        if base in {"tuple", "Tuple"}:
            return self._tuple(arguments, module)
        return {}

    def _tuple(self, arguments: list[ast.expr], module: str) -> Schema:
        if len(arguments) == 2 and isinstance(arguments[1], ast.Constant) and arguments[1].value is ...:
            return {"type": "array", "items": self._expression(arguments[0], module)}
        items = [self._expression(item, module) for item in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}

    def _define(self, found: Declaration) -> str:
        """The name under which a declaration is defined; `module.Name` for the second one of that name."""
        key = (found.module, found.name)
        if key not in self._names:
            name = found.name if found.name not in self.definitions else f"{found.module}.{found.name}"
            self._names[key] = name
            self.definitions[name] = {}  # taken before its fields are read: a type may contain itself
            self.definitions[name] = _enum(found) if found.kind == "enum" else self._object(found)
        return self._names[key]

    def _object(self, declaration: Declaration) -> Schema:
        fields = self.declarations.fields(declaration)
        schema: Schema = {
            "type": "object",
            "properties": {item.name: self._field(item, declaration.module) for item in fields},
            "required": [item.name for item in fields if item.default is None],
            "additionalProperties": False,
        }
        return {"description": declaration.doc, **schema} if declaration.doc else schema

    def _field(self, item: Field, module: str) -> Schema:
        schema = self.of_type(item.type, module)
        if item.default is None:
            return schema
        try:
            default = ast.literal_eval(item.default)
        except (ValueError, SyntaxError):
            return schema  # an expression: only the program knows its value
        return {**schema, "default": default} if isinstance(default, (str, int, float, bool, list, dict)) else schema


def _union(schemas: list[Schema]) -> Schema:
    flat: list[Schema] = []
    for schema in schemas:
        flat += schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {} if {} in flat else {"anyOf": flat}


def _enum(found: Declaration) -> Schema:
    """Members without a value count from 1, as Python's `auto()` does."""
    values: list[Any] = []
    for position, (_, text) in enumerate(found.members, start=1):
        if text is None:
            values.append(values[-1] + 1 if values and isinstance(values[-1], int) else position)
            continue
        try:
            values.append(ast.literal_eval(text))
        except (ValueError, SyntaxError):
            return {}
    return {"enum": values}
