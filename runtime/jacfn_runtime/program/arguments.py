"""Checks a request body against the types that a walker's fields or a function's parameters declare, and makes the values.

`arguments_type` builds a msgspec Struct from a loaded target; `bind` turns a body into keyword arguments. Objects of the program
are built from JSON objects, enums from their values; a type that msgspec does not know lets anything through.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from types import FunctionType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

import msgspec

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.catalog import Endpoint


class Problem(NamedTuple):
    """One bad field: `path` is `body` or `body.point.x` or `body.items[2]`."""

    path: str
    message: str


class InvalidArguments(ProgramError):
    """A body that does not fit; `problems` has at least one entry, one for each bad field."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("The arguments do not fit", evidence="\n".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


Build = Callable[[Any], Any]
"""Makes the program's value of a decoded one. Raises ValueError or TypeError if it cannot."""


class _Plan(NamedTuple):
    """How one declared type is decoded: as `type`, then by `build`, if there is anything left to do."""

    type: Any
    build: Build | None


_ANY = _Plan(Any, None)
_PLACE = " - at `"  # what msgspec writes between a message and its place
_PLAIN = frozenset(
    {"builtins", "datetime", "decimal", "uuid"}
)  # modules whose classes msgspec decodes, if it decodes them at all


def arguments_type(target: Any, endpoint: Endpoint) -> type[msgspec.Struct]:
    """A Struct that decodes the endpoint's request body: unknown keys refused, required ones demanded, objects and enums built.

    A field that was not given is `msgspec.UNSET`: the program's own default applies. `target` is what `Program.target` answers.
    """
    types = _declared_types(target)
    planner = _Planner()
    plans = {item.name: planner.plan(types.get(item.name, Any)) for item in endpoint.parameters}
    optional = {item.name for item in endpoint.parameters if not item.required}
    return _struct(endpoint.name, plans, optional)


def bind(kind: type[msgspec.Struct], body: Any) -> dict[str, Any]:
    """Keyword arguments for the target from a decoded JSON body; None counts as `{}`.

    Raises InvalidArguments, which names every bad field.
    """
    body = {} if body is None else body
    try:
        decoded = msgspec.convert(body, kind, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidArguments(_problems(kind, body, error)) from None
    return given(decoded)


def given(arguments: msgspec.Struct) -> dict[str, Any]:
    """The fields of a decoded body that were given."""
    return _given(arguments)


def _given(struct: Any) -> dict[str, Any]:
    pairs = ((name, getattr(struct, name)) for name in struct.__struct_fields__)
    return {name: value for name, value in pairs if value is not msgspec.UNSET}


def _problems(kind: Any, body: Any, first: msgspec.ValidationError) -> tuple[Problem, ...]:
    """Every bad field. msgspec stops at the first one, so each field is tried by itself."""
    if not isinstance(body, Mapping):
        return (_problem(str(first)),)
    found = [Problem(f"body.{key}", "Unknown field") for key in body if key not in kind.__struct_fields__]
    for field in msgspec.structs.fields(kind):
        if field.name not in body:
            if field.required:
                found.append(Problem(f"body.{field.name}", "Required field is missing"))
            continue
        single = msgspec.defstruct("single", [(field.name, field.type)], namespace={"__post_init__": kind.__post_init__})
        try:
            msgspec.convert({field.name: body[field.name]}, single, strict=True)
        except msgspec.ValidationError as error:
            found.append(_problem(str(error)))
    return tuple(found) or (_problem(str(first)),)


def _problem(message: str) -> Problem:
    """msgspec ends a message with its place: "Expected `float`, got `str` - at `$.price`"; inner places of ours come first."""
    text, *places = message.split(_PLACE)
    return Problem("body" + "".join(place.removesuffix("`").removeprefix("$") for place in reversed(places)), text)


def _struct(name: str, plans: Mapping[str, _Plan], optional: set[str]) -> type[msgspec.Struct]:
    builds = {field: plan.build for field, plan in plans.items() if plan.build is not None}

    def post_init(self: Any) -> None:
        for field, build in builds.items():
            value = getattr(self, field, msgspec.UNSET)
            if value is not msgspec.UNSET:
                setattr(self, field, _at(f".{field}", build, value))

    fields: list[Any] = [
        (field, plan.type | msgspec.UnsetType if plan.type is not Any else Any, msgspec.UNSET)
        if field in optional
        else (field, plan.type)
        for field, plan in plans.items()
    ]
    return msgspec.defstruct(name, fields, namespace={"__post_init__": post_init}, kw_only=True, forbid_unknown_fields=True)


class _Planner:
    """Plans how each type is decoded; a program's object is planned once, so that it may contain itself."""

    def __init__(self) -> None:
        self._objects: dict[type, _Plan] = {}

    def plan(self, declared: Any) -> _Plan:
        plan = self._plan(declared)
        return plan if _decodable(plan.type) else _ANY

    def _plan(self, declared: Any) -> _Plan:
        origin, arguments = get_origin(declared), get_args(declared)
        if origin in (Union, UnionType):
            return self._union(arguments)
        if origin in (list, set, frozenset, tuple) and arguments:
            return self._sequence(origin, arguments)
        if origin is dict and len(arguments) == 2:
            return self._mapping(arguments)
        if not isinstance(declared, type) or declared.__module__ in _PLAIN or issubclass(declared, Enum):
            return _Plan(declared, None)
        return self._object(declared) if dataclasses.is_dataclass(declared) else _ANY

    def _object(self, declared: Any) -> _Plan:
        if declared not in self._objects:
            self._objects[declared] = _Plan(Any, lambda value: self._late(declared, value))  # while it contains itself
            types = _declared_types(declared)
            fields = [field for field in dataclasses.fields(declared) if field.init]
            plans = {field.name: self.plan(types.get(field.name, Any)) for field in fields}
            optional = {field.name for field in fields if not _required(field)}
            struct = _struct(declared.__name__, plans, optional)
            self._objects[declared] = _Plan(struct, lambda value: declared(**_given(value)))
        return self._objects[declared]

    def _late(self, declared: Any, value: Any) -> Any:
        """An object inside one of its own kind."""
        plan = self._objects[declared]
        return _apply(plan.build, msgspec.convert(value, plan.type, strict=True))

    def _union(self, arguments: tuple[Any, ...]) -> _Plan:
        plans = [self.plan(item) for item in arguments]
        joined = _of(Union, tuple(plan.type for plan in plans))
        builds = [(plan.type, plan.build) for plan in plans if plan.build is not None]
        if not builds:
            return _Plan(joined, None)
        if len(builds) == 1 and _decodable(joined):
            kind, build = builds[0]
            if len(plans) == 2 and type(None) in arguments:
                return _Plan(joined, lambda value: None if value is None else build(value))
            if isinstance(kind, type):
                return _Plan(joined, lambda value: build(value) if isinstance(value, kind) else value)
        return _Plan(Any, lambda value: _first_fit(plans, value))

    def _sequence(self, origin: Any, arguments: tuple[Any, ...]) -> _Plan:
        if origin is tuple and arguments[-1:] != (...,):
            plans = [self.plan(item) for item in arguments]
            joined = _of(tuple, tuple(plan.type for plan in plans))
            if all(plan.build is None for plan in plans):
                return _Plan(joined, None)
            return _Plan(joined, lambda value: tuple(_apply(plan.build, item) for plan, item in zip(plans, value, strict=True)))
        inner = self.plan(arguments[0])
        kind = _of(tuple, (inner.type, ...)) if origin is tuple else _of(origin, inner.type)
        build = inner.build
        return _Plan(
            kind,
            None if build is None else lambda value: origin(_at(f"[{place}]", build, item) for place, item in enumerate(value)),
        )

    def _mapping(self, arguments: tuple[Any, ...]) -> _Plan:
        key, inner = arguments[0], self.plan(arguments[1])
        build = inner.build
        kind = _of(dict, (key, inner.type))
        return _Plan(
            kind, None if build is None else lambda value: {name: _at(f".{name}", build, item) for name, item in value.items()}
        )


def _of(generic: Any, arguments: Any) -> Any:
    """`generic[arguments]`, for arguments that are known at run time only."""
    return generic[arguments]


def _apply(build: Build | None, value: Any) -> Any:
    return value if build is None else build(value)


def _at(place: str, build: Build, value: Any) -> Any:
    """Build a part of something; an error names the place of the part."""
    try:
        return build(value)
    except (ValueError, TypeError, msgspec.ValidationError) as error:
        raise ValueError(f"{error}{_PLACE}${place}`") from error


def _first_fit(plans: list[_Plan], value: Any) -> Any:
    """The first alternative that the value fits: msgspec cannot tell two kinds of object apart."""
    for plan in plans:
        try:
            return _apply(plan.build, msgspec.convert(value, plan.type, strict=True))
        except (msgspec.ValidationError, ValueError, TypeError):
            continue
    names = ", ".join(getattr(plan.type, "__name__", str(plan.type)) for plan in plans)
    raise ValueError(f"Fits none of {names}")


def _decodable(kind: Any) -> bool:
    """Whether msgspec can decode into this type."""
    try:
        msgspec.convert(None, kind)
    except msgspec.ValidationError:
        return True
    except (TypeError, NotImplementedError):
        return False
    return True


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _declared_types(target: Any) -> dict[str, Any]:
    """Field or parameter name -> its type. Annotations are strings; one that cannot be resolved counts as Any.

    They are resolved in the module and not in the class: an ability named `list` would shadow the builtin there.
    """
    if not isinstance(target, type):
        function = inspect.unwrap(target)  # of decorators that say what they wrap, such as `lru_cache`
        annotations = function.__annotations__ if isinstance(function, FunctionType) else {}
        return {name: _resolve(text, function.__module__) for name, text in annotations.items()}
    init = target.__dict__.get("__init__")
    if init is not None and not dataclasses.is_dataclass(target):
        return {name: _resolve(text, target.__module__) for name, text in init.__annotations__.items()}
    types: dict[str, Any] = {}
    for cls in reversed(target.__mro__):
        for name, text in inspect.get_annotations(cls).items():
            types[name] = _resolve(text, cls.__module__)
    return types


def _resolve(text: Any, module: str) -> Any:
    if not isinstance(text, str):
        return text
    try:
        found = eval(text, dict(vars(sys.modules[module])))  # noqa: S307  the program's own annotation
    except Exception:
        return Any
    return type(None) if found is None else found
