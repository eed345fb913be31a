"""Field values as JSON-able data and back. A value comes back as what its declared type says, or the commit is refused.

jaclang's own serializer turns a set into the string "{1, 2}" and a node in a field into a copy of it; a graph that is kept for
years needs better. Dicts with one key that starts with `jac:` are ours; a program's own dict with such a key is wrapped, so that
a request body can never forge a reference to somebody's node.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from jaclang.jac0core.archetype import Archetype, EdgeArchetype, NodeArchetype, WalkerArchetype
from jaclang.runtimelib.serializer import Serializer

from jacfn_runtime.memory.adapter import classes
from jacfn_runtime.memory.adapter.anchors import key

REF = "jac:ref"  # a node of the graph, by id
OBJ = "jac:obj"  # an `obj`, or a node that belongs to no graph: class and fields
DICT = "jac:dict"  # a dict of the program with a key that looks like ours
INT = "jac:int"  # an integer that neither BSON nor SQLite holds

_SCALARS = (str, int, float, bool)
_PLAIN = (*_SCALARS, type(None))
_SIMPLE: tuple[type, ...] = (
    *(str, int, float, bool, bytes, bytearray, type(None), uuid.UUID, decimal.Decimal),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
)
_SEQUENCES = (list, set, frozenset, tuple)
_INT64 = 2**63  # both stores keep integers in 64 bits


class Unstorable(TypeError):
    """A field holds something that no store can give back."""


def encode(value: Any) -> Any:
    """JSON-able data for one field value. Raises Unstorable for anything that would not come back as it was."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None:
        return value
    if kind is int:
        return value if -_INT64 <= value < _INT64 else {INT: str(value)}
    if isinstance(value, enum.Enum):
        return encode(value.value)
    if isinstance(value, list | tuple | set | frozenset):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        encoded = {_text_key(name): encode(item) for name, item in value.items()}
        return {DICT: encoded} if any(name.startswith("jac:") for name in encoded) else encoded
    if isinstance(value, Archetype):
        return _encode_archetype(value)
    if isinstance(value, _SIMPLE):
        return msgspec.to_builtins(value)
    raise Unstorable(f"a {kind.__module__}.{kind.__qualname__} cannot be kept in the graph")


def _text_key(name: Any) -> str:
    if isinstance(name, enum.Enum):
        return _text_key(name.value)
    if isinstance(name, str):
        return name
    if isinstance(name, _SIMPLE):
        return str(msgspec.to_builtins(name, str_keys=True))
    raise Unstorable(f"a dict key of type {type(name).__qualname__} cannot be kept in the graph")


def _encode_archetype(value: Any) -> Any:
    if isinstance(value, WalkerArchetype | EdgeArchetype):
        raise Unstorable(f"the {type(value).__name__} cannot be kept in a field: keep its node, or its data")
    if isinstance(value, NodeArchetype) and value.__jac__.persistent:
        return {REF: key(value.__jac__)}
    shape = classes.shape(type(value))
    return {OBJ: [shape.name, encode_fields(value, shape.fields)]}


def encode_fields(archetype: Any, names: Iterable[str]) -> dict[str, Any]:
    """The archetype's declared fields as JSON-able data; a field that was never set is left out. Raises Unstorable by name."""
    encoded = {}
    for name in names:
        try:
            encoded[name] = encode(getattr(archetype, name))
        except AttributeError:
            continue
        except Unstorable as error:
            raise Unstorable(f"{type(archetype).__name__}.{name}: {error}") from None
    return encoded


def references(value: Any) -> Iterable[str]:
    """The ids of all nodes that encoded data refers to."""
    if isinstance(value, dict):
        if len(value) == 1 and REF in value:
            yield value[REF]
        else:  # a wrapped dict is the program's: its keys mean nothing, whatever they are called
            for item in value.get(DICT, value).values() if len(value) == 1 else value.values():
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


Resolve = Callable[[str], Any]
"""The archetype of a referred node, or None where it is gone or not the caller's to see."""


def decode(value: Any, hint: Any, resolve: Resolve) -> Any:
    """What `encode` was given. `hint` is the declared type; stored data that does not fit it comes back as it is stored."""
    kind = type(value)
    if kind is hint:
        if kind in _PLAIN:
            return value
    elif kind in _PLAIN and hint is Any:
        return value
    if _is_plain(hint):
        raw = _unwrap(value, resolve)
        try:
            return msgspec.convert(raw, hint, strict=False)
        except (msgspec.ValidationError, TypeError):
            return Serializer.coerce(raw, hint)[0]  # jaclang's rules for a field whose type was changed; else as it is stored
    return _decode_parts(value, hint, resolve)


def _decode_parts(value: Any, hint: Any, resolve: Resolve) -> Any:
    """Containers, unions and enums: the outside by hand, the leaves by `decode`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _member(value, hint)
    if origin in _SEQUENCES and isinstance(value, list):
        part = arguments[0] if arguments else Any
        one_by_one = origin is tuple and Ellipsis not in arguments and len(arguments) == len(value)
        hints = arguments if one_by_one else [part] * len(value)
        return origin(decode(item, each, resolve) for item, each in zip(value, hints, strict=True))
    if origin is dict and isinstance(value, dict) and (DICT in value or not _ours(value)):
        names, part = arguments
        items = value[DICT] if _ours(value) else value
        return {decode(name, names, resolve): decode(item, part, resolve) for name, item in items.items()}
    if origin in (typing.Union, types.UnionType):
        for each in arguments:
            if _fits(value, each):
                return decode(value, each, resolve)
    return _unwrap(value, resolve)


def _fits(value: Any, hint: Any) -> bool:
    """Whether one member of a union can be what was stored; dicts of ours say themselves what they are."""
    outside = typing.get_origin(hint) or hint
    if not isinstance(outside, type) or value is None:
        return outside is type(value)
    if issubclass(outside, enum.Enum):
        return isinstance(_member(value, outside), outside)
    if outside in _SEQUENCES:
        return isinstance(value, list)
    return type(value) is outside and not (isinstance(value, dict) and _ours(value))


def _member(value: Any, kind: type[enum.Enum]) -> Any:
    """The enum member that was stored as this value, or as this dict key; the value itself if there is none any more."""
    for member in kind:
        if encode(member.value) == value:
            return member
        if isinstance(value, str) and isinstance(member.value, _SIMPLE) and _text_key(member) == value:
            return member
    return value


def _ours(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("jac:")


def _unwrap(value: Any, resolve: Resolve) -> Any:
    """Encoded data without our wrappers, by what the data itself says."""
    if isinstance(value, list):
        return [_unwrap(item, resolve) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (name, inner), *_ = value.items()
        if name == REF:
            return resolve(inner)
        if name == INT:
            return int(inner)
        if name == OBJ:
            kind, fields = inner
            archetype: Any = object.__new__(classes.find(kind, "a field"))
            fill(archetype, fields, resolve)
            return archetype
        if name == DICT:
            value = inner
    return {name: _unwrap(item, resolve) for name, item in value.items()}


def fill(archetype: Any, stored: Mapping[str, Any], resolve: Resolve) -> Mapping[str, Any]:
    """Set the declared fields of a bare archetype from stored ones; what was added since gets its default.

    What comes back is what `encode_fields` says of it now.
    """
    shape = classes.shape(type(archetype))
    fields = shape.repair(stored)
    as_stored = fields is stored
    for name, hint in shape.fields.items():
        if name in fields:
            value = fields[name]
            if type(value) is hint and hint in _SCALARS:  # most fields are
                setattr(archetype, name, value)
                continue
            setattr(archetype, name, decode(value, hint, resolve))
        elif name in shape.factories:
            setattr(archetype, name, shape.factories[name]())
        as_stored = False
    return stored if as_stored else encode_fields(archetype, shape.fields)


def changed_fields(archetype: Any, before: Mapping[str, Any]) -> dict[str, Any]:
    """Those declared fields, encoded, that say something else than `before`. Raises Unstorable by name."""
    attributes = vars(archetype)
    suspects = [name for name in classes.shape(type(archetype)).fields if attributes.get(name) is not before.get(name)]
    now = encode_fields(archetype, suspects)
    return {name: value for name, value in now.items() if name not in before or not _same(before[name], value)}


def _same(before: Any, now: Any) -> bool:
    # 1, 1.0 and True are equal in Python and not the same in a store; not-a-number is itself and not equal to itself.
    return before is now or (type(before) is type(now) and bool(before == now))


_plain_hints: dict[Any, bool] = {}


def _is_plain(hint: Any) -> bool:
    """Whether a type is made of the standard library's types alone, so that msgspec knows it."""
    known = _plain_hints.get(hint)
    if known is None:
        known = _plain_hints[hint] = _made_of_simple(hint)
    return known


def _made_of_simple(hint: Any) -> bool:
    if hint in _SIMPLE or hint in (list, dict, set, frozenset, tuple) or hint is Ellipsis:
        return True
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return True
    return origin in (list, dict, set, frozenset, tuple, typing.Union, types.UnionType) and all(
        _is_plain(each) for each in typing.get_args(hint)
    )
