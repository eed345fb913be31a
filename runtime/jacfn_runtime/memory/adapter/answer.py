"""Results and reports as JSON-able builtins, in the shape that jaclang's servers answer: `_jac_type`, `_jac_id`, `_jac_archetype`
and the attributes by name.

jaclang's `Serializer` asks `dir()` for every object, writes a set as the text "{1, 2}" and never ends on two objects that hold
each other; here the names are looked up once per class, and an object inside itself is named, not repeated.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec
from jaclang.jac0core.archetype import Archetype, NodeArchetype, WalkerArchetype

from jacfn_runtime.memory.adapter.anchors import key


def answer(value: Any) -> Any:
    """JSON-able data for anything that Jac code returned or reported."""
    return _plain(value, ())


def _plain(value: Any, inside: tuple[int, ...]) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, inside)
    if isinstance(value, dict):
        inside = _enter(value, inside)
        return {_text_key(name): _plain(item, inside) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        inside = _enter(value, inside)
        return [_plain(item, inside) for item in value]
    if isinstance(value, Archetype):
        return _archetype(value, inside)
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError):
        return _object(value, inside)


def _enter(value: Any, inside: tuple[int, ...]) -> tuple[int, ...]:
    if id(value) in inside:
        raise ValueError(f"A {type(value).__name__} that contains itself cannot be answered as JSON")
    return (*inside, id(value))


def _text_key(name: Any) -> str:
    if isinstance(name, enum.Enum):
        name = name.value
    return name if isinstance(name, str) else str(name)


def _archetype(value: Any, inside: tuple[int, ...]) -> dict[str, Any]:
    kind = "node" if isinstance(value, NodeArchetype) else "walker" if isinstance(value, WalkerArchetype) else "archetype"
    told = {"_jac_type": type(value).__name__, "_jac_id": key(value.__jac__), "_jac_archetype": kind}
    if id(value) not in inside:
        told.update(_attributes(value, (*inside, id(value))))
    return told


def _attributes(value: Any, inside: tuple[int, ...]) -> dict[str, Any]:
    own = (name for name in vars(value) if not name.startswith("_"))
    found = {}
    for name in sorted({*_class_attributes(type(value)), *own}):
        try:
            attribute = getattr(value, name)
        except AttributeError:  # a required field that was added after this node was stored
            continue
        if not callable(attribute):
            found[name] = _plain(attribute, inside)
    return found


_attributes_of: dict[type, tuple[str, ...]] = {}


def _class_attributes(cls: type) -> tuple[str, ...]:
    known = _attributes_of.get(cls)
    if known is None:
        known = tuple(name for name in dir(cls) if not name.startswith("_") and not callable(getattr(cls, name, None)))
        _attributes_of[cls] = known
    return known


def _object(value: Any, inside: tuple[int, ...]) -> Any:
    """Any other Python object: its public attributes, or its text if it has none."""
    if not hasattr(value, "__dict__"):
        return str(value)
    inside = _enter(value, inside)
    told = {"__type__": type(value).__name__, "__module__": type(value).__module__}
    return told | {name: _plain(item, inside) for name, item in vars(value).items() if not name.startswith("_")}
