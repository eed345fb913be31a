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
from functools import lru_cache
from typing import Any

import msgspec
from jaclang.jac0core.archetype import Archetype, EdgeArchetype, NodeArchetype, WalkerArchetype
from jaclang.runtimelib.serializer import Serializer

from jacfn_runtime.memory.adapter import classes

REF = "jac:ref"  # a node of the graph, by id
OBJ = "jac:obj"  # an `obj`, or a node that belongs to no graph: class and fields
DICT = "jac:dict"  # a dict of the program with a key that looks like ours
INT = "jac:int"  # an integer that neither BSON nor SQLite holds

_PLAIN = (str, int, float, bool, type(None))
_SIMPLE: tuple[type, ...] = (
    *(str, int, float, bool, bytes, bytearray, type(None), uuid.UUID, decimal.Decimal),
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
)
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
        encoded = {_key(key): encode(item) for key, item in value.items()}
        return {DICT: encoded} if any(key.startswith("jac:") for key in encoded) else encoded
    if isinstance(value, Archetype):
        return _encode_archetype(value)
    if isinstance(value, _SIMPLE):
        return msgspec.to_builtins(value)
    raise Unstorable(f"a {kind.__module__}.{kind.__qualname__} cannot be kept in the graph")


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return key
    if isinstance(key, _SIMPLE):
        return str(msgspec.to_builtins(key, str_keys=True))
    raise Unstorable(f"a dict key of type {type(key).__qualname__} cannot be kept in the graph")


def _encode_archetype(value: Any) -> Any:
    if isinstance(value, WalkerArchetype | EdgeArchetype):
        raise Unstorable(f"the {type(value).__name__} cannot be kept in a field: keep its node, or its data")
    if isinstance(value, NodeArchetype) and value.__jac__.persistent:
        return {REF: value.__jac__.id.hex}
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
        else:
            for item in value.values():
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
    """Containers and unions whose parts are archetypes: the outside by hand, the leaves by `decode`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (list, set, frozenset, tuple) and isinstance(value, list):
        part = arguments[0] if arguments else Any
        hints = (
            arguments if origin is tuple and Ellipsis not in arguments and len(arguments) == len(value) else [part] * len(value)
        )
        return origin(decode(item, each, resolve) for item, each in zip(value, hints, strict=True))
    if origin is dict and isinstance(value, dict) and not _ours(value):
        key, part = arguments
        return {decode(name, key, resolve): decode(item, part, resolve) for name, item in value.items()}
    if origin in (typing.Union, types.UnionType) and not isinstance(value, dict):
        for each in arguments:
            if value is None and each is type(None):
                return None
        if isinstance(value, list):
            for each in arguments:
                if (typing.get_origin(each) or each) in (list, set, frozenset, tuple):
                    return decode(value, each, resolve)
    return _unwrap(value, resolve)


def _ours(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("jac:")


def _unwrap(value: Any, resolve: Resolve) -> Any:
    """Encoded data without our wrappers, by what the data itself says."""
    if isinstance(value, list):
        return [_unwrap(item, resolve) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key, inner), *_ = value.items()
        if key == REF:
            return resolve(inner)
        if key == INT:
            return int(inner)
        if key == OBJ:
            name, fields = inner
            archetype = object.__new__(classes.find(name, "a field"))
            fill(archetype, fields, resolve)
            return archetype
        if key == DICT:
            value = inner
    return {key: _unwrap(item, resolve) for key, item in value.items()}


def fill(archetype: Any, fields: Mapping[str, Any], resolve: Resolve) -> None:
    """Set the declared fields of a bare archetype from stored ones; what was added since gets its default."""
    shape = classes.shape(type(archetype))
    fields = shape.repair(fields)
    for name, hint in shape.fields.items():
        if name in fields:
            setattr(archetype, name, decode(fields[name], hint, resolve))
        elif name in shape.factories:
            setattr(archetype, name, shape.factories[name]())


@lru_cache(maxsize=1024)
def _is_plain(hint: Any) -> bool:
    """Whether a type is made of the standard library's types alone, so that msgspec knows it."""
    if hint in _SIMPLE or hint in (list, dict, set, frozenset, tuple) or hint is Ellipsis:
        return True
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return True
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return True
    return origin in (list, dict, set, frozenset, tuple, typing.Union, types.UnionType) and all(
        _is_plain(each) for each in typing.get_args(hint)
    )
