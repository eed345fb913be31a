"""Field values come back from a store as what their declared types say, whatever they are."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import sys
import uuid
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_programs import loaded
from jacfn_runtime.memory.adapter import values
from jacfn_runtime.memory.errors import UnknownClass

from .conftest import PROGRAMS


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


def again(value: Any, hint: Any) -> Any:
    """Through the store: encoded, as JSON text, decoded."""
    return values.decode(json.loads(json.dumps(values.encode(value))), hint, lambda _: None)


TEXT = st.text()
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, TEXT),
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (bytes, st.binary()),
    (uuid.UUID, st.uuids()),
    (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (datetime.date, st.dates()),
    (datetime.datetime, st.datetimes(min_value=datetime.datetime(1, 1, 2), max_value=datetime.datetime(9999, 12, 30))),
    (datetime.timedelta, st.timedeltas(min_value=datetime.timedelta(-999), max_value=datetime.timedelta(999))),
    (Colour, st.sampled_from(Colour)),
    (str | None, st.none() | TEXT),
    (Literal["a", "b"], st.sampled_from(["a", "b"])),
]


def typed() -> st.SearchStrategy[tuple[Any, Any]]:
    """A type, and a value of it."""
    leaf = st.sampled_from(LEAVES)

    def wrap(inner: st.SearchStrategy[tuple[Any, Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
        return inner.flatmap(
            lambda pair: st.sampled_from(
                [
                    (list[pair[0]], st.lists(pair[1], max_size=3)),
                    (dict[str, pair[0]], st.dictionaries(TEXT, pair[1], max_size=3)),
                    (dict[int, pair[0]], st.dictionaries(st.integers(-(2**60), 2**60), pair[1], max_size=3)),
                    (tuple[pair[0], int], st.tuples(pair[1], st.integers())),
                ]
            )
        )

    return st.recursive(leaf, wrap, max_leaves=3).flatmap(lambda pair: pair[1].map(lambda value: (pair[0], value)))


@given(typed())
def test_a_value_comes_back_equal_and_of_its_type(pair: tuple[Any, Any]) -> None:
    hint, value = pair
    found = again(value, hint)
    assert found == value
    assert type(found) is type(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT | st.sampled_from(["jac:ref", "jac:obj", "jac:dict", "jac:int", "$ref"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_json_of_a_program_comes_back_even_if_it_looks_like_ours(value: Any) -> None:
    assert again(value, Any) == value
    assert again({"jac:ref": value}, dict) == {"jac:ref": value}


@given(JSON)
def test_json_of_a_program_refers_to_no_node(value: Any) -> None:
    assert list(values.references(values.encode(value))) == []


def test_a_set_comes_back_as_a_set() -> None:
    assert again({1, 2}, set[int]) == {1, 2}
    assert again(frozenset("ab"), frozenset[str]) == frozenset("ab")


def test_an_int_in_a_float_field_comes_back_as_a_float() -> None:
    assert type(again(3, float)) is float


@pytest.mark.parametrize(("stored", "hint", "found"), [(5, str, "5"), ("5", int, 5), ("x", int, "x"), (None, int, None)])
def test_what_was_stored_under_another_type_is_coerced_or_kept(stored: Any, hint: Any, found: Any) -> None:
    assert values.decode(stored, hint, lambda _: None) == found


@pytest.mark.parametrize("value", [object(), open, {object(): 1}, [lambda: None], 1j])
def test_what_could_not_come_back_is_refused(value: Any) -> None:
    with pytest.raises(values.Unstorable):
        values.encode(value)


def scene_classes() -> Any:
    """The module scenes.jac."""
    return sys.modules[loaded(PROGRAMS / "scenes.jac").target("walker/build").__module__]


def test_a_refused_value_is_named_by_class_and_field() -> None:
    scenes = scene_classes()
    store = scenes.Store(anything=[object()])
    with pytest.raises(values.Unstorable, match=r"^Store\.anything: a builtins\.object cannot be kept in the graph$"):
        values.encode_fields(store, ["anything"])


def test_an_obj_keeps_its_class() -> None:
    scenes = scene_classes()
    found = again([scenes.Address(street="x", number=7)], list[scenes.Address])
    assert [(type(each), each.street, each.number) for each in found] == [(scenes.Address, "x", 7)]


def test_an_obj_of_a_class_that_is_gone_is_named() -> None:
    with pytest.raises(UnknownClass, match=r"scenes\.Gone"):
        values.decode({"jac:obj": ["scenes.Gone", {}]}, Any, lambda _: None)


def test_only_archetypes_are_made_from_stored_names() -> None:
    for name in ("os.system", "builtins.eval", "subprocess.Popen", "json.JSONDecoder"):
        with pytest.raises(UnknownClass):
            values.decode({"jac:obj": [name, {}]}, Any, lambda _: None)


def test_a_reference_resolves_to_its_node() -> None:
    assert values.decode([{"jac:ref": "ab"}], list[Any], {"ab": "the node"}.get) == ["the node"]
