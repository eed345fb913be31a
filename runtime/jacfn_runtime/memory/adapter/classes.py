"""Which class a stored type name means, and which fields a class has: looked up once per class and process."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaclang.jac0core.archetype import Archetype, GenericEdge, Root
from jaclang.runtimelib.serializer import Serializer

from jacfn_runtime.memory.errors import UnknownClass

ROOT = "jac.Root"
GENERIC_EDGE = "jac.GenericEdge"
# jaclang's own two classes are stored under names that do not follow its module layout.
_OWN: dict[str, type] = {ROOT: Root, GENERIC_EDGE: GenericEdge}
_OWN_NAMES = {cls: name for name, cls in _OWN.items()}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the store has to know of one archetype class."""

    name: str
    """The stored type: `module.Class`."""
    fields: Mapping[str, Any]
    """Declared fields with their types; Any where a type cannot be resolved."""
    factories: Mapping[str, Callable[[], Any]]
    """Defaults that are made per instance; the plain ones are class attributes."""
    cls: type

    def repair(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Stored fields after the class's own `__jac_schema__` rules (renames, upgrades), if it has any."""
        if not hasattr(self.cls, "__jac_schema__"):
            return fields
        repaired, _steps = Serializer.repair(dict(fields), self.cls)
        return typing.cast(Mapping[str, Any], repaired)


_shapes: dict[type, Shape] = {}


def shape(cls: type) -> Shape:
    """The shape of an archetype class."""
    known = _shapes.get(cls)
    if known is None:
        known = _shapes[cls] = _look_at(cls)
    return known


def _look_at(cls: type) -> Shape:
    try:
        # `localns={}`: an ability called `list` must not shadow the builtin while annotations are resolved.
        hints = typing.get_type_hints(cls, localns={})
    except Exception:  # any expression may stand in an annotation
        hints = {}
    declared = dataclasses.fields(cls)
    return Shape(
        name=_OWN_NAMES.get(cls) or f"{cls.__module__}.{cls.__name__}",
        fields={each.name: hints.get(each.name, Any) for each in declared},
        factories={each.name: each.default_factory for each in declared if each.default_factory is not dataclasses.MISSING},
        cls=cls,
    )


def find(name: str, document: str) -> type:
    """The class of a stored type. Raises UnknownClass, which names it and the document, if the program has none."""
    found = _find(name)
    if found is None:
        raise UnknownClass(name, document)
    return found


def _find(name: str) -> type | None:
    cls = _OWN.get(name) or Serializer._registry.get(Serializer._aliases.get(name, name))
    if cls is None:
        module, _, attribute = name.rpartition(".")
        cls = getattr(sys.modules.get(module), attribute, None)
    return cls if isinstance(cls, type) and issubclass(cls, Archetype) else None
