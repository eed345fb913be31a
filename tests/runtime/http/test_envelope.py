"""Whatever a program answers becomes JSON."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.http import envelope

scalars: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary() | st.builds(object)
)
keys = scalars.filter(lambda key: key.__hash__ is not None) | st.tuples(st.integers())
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.sets(st.integers()), max_leaves=20
)


def strictly(text: bytes) -> Any:
    """The JSON of RFC 8259: no NaN, no Infinity, UTF-8."""

    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(text.decode(), parse_constant=refuse)


@given(values)
def test_any_value_becomes_strict_json(value: Any) -> None:
    strictly(envelope.encode(value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_json_can_hold_stays_as_it_is(value: Any) -> None:
    assert strictly(envelope.encode(value)) == value


def test_nan_and_infinity_become_null() -> None:
    assert strictly(envelope.encode([float("nan"), float("inf"), 1.5])) == [None, None, 1.5]


def test_a_list_that_contains_itself_is_cut_off() -> None:
    circle: list[Any] = [1]
    circle.append(circle)
    assert "nested more than" in envelope.encode(circle).decode()


def test_success_has_the_five_parts() -> None:
    assert strictly(envelope.success(5, ["a"], "id")) == {
        "ok": True,
        "type": "response",
        "data": {"result": 5, "reports": ["a"]},
        "error": None,
        "meta": {"request_id": "id"},
    }


def test_failure_has_details_only_if_there_are_any() -> None:
    plain = strictly(envelope.failure("NOT_FOUND", "gone", "id"))
    assert plain == {
        "ok": False,
        "type": "error",
        "data": None,
        "error": {"code": "NOT_FOUND", "message": "gone"},
        "meta": {"request_id": "id"},
    }
    details = [{"path": "body.x", "message": "bad"}]
    assert strictly(envelope.failure("INVALID_ARGUMENTS", "bad", "id", details))["error"]["details"] == details
