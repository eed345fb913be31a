"""A body is JSON, an object, not too deep, and fits the declared types; else every bad field is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.http.body import DEEPEST, Arguments, check_depth
from jacfn_runtime.http.errors import ApiError, translate
from jacfn_runtime.program.arguments import InvalidArguments, arguments_type
from jacfn_runtime.program.catalog import Endpoint, Parameter


def order(name: str, items: list[float], count: int = 1, labels: dict[str, int] | None = None, anything: Any = None) -> None:
    """The target of these tests."""


ENDPOINT = Endpoint(
    kind="function",
    name="order",
    access="pub",
    parameters=(
        Parameter(name="name", type="str", required=True),
        Parameter(name="items", type="list[float]", required=True),
        Parameter(name="count", type="int", required=False, default="1"),
        Parameter(name="labels", type="dict[str, int] | None", required=False, default="None"),
        Parameter(name="anything", type="any", required=False, default="None"),
    ),
    schema={},
    module="main",
    file="main.jac",
    line=1,
)
ARGUMENTS = Arguments(arguments_type(order, ENDPOINT))
GOOD = {"name": "a", "items": [1.0]}

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def decode(body: Any) -> dict[str, Any]:
    return ARGUMENTS.decode(body if isinstance(body, bytes) else json.dumps(body).encode())


def problems(body: Any) -> dict[str, str]:
    with pytest.raises(InvalidArguments) as caught:
        decode(body)
    return dict(caught.value.problems)


@given(
    st.fixed_dictionaries(
        {"name": st.text(), "items": st.lists(st.floats(allow_nan=False, allow_infinity=False))},
        optional={
            "count": st.integers(),
            "labels": st.none() | st.dictionaries(st.text(), st.integers()),
            "anything": json_values,
        },
    )
)
def test_arguments_that_fit_arrive_as_they_were_sent(body: dict[str, Any]) -> None:
    assert decode(body) == body


@given(json_values)
def test_any_json_either_fits_or_is_refused_by_field(body: Any) -> None:
    try:
        decode(body)
    except InvalidArguments as error:
        assert all(path == "body" or path.startswith("body.") for path, _ in error.problems)


@given(st.binary())
def test_any_bytes_either_fit_or_are_refused(body: bytes) -> None:
    try:
        decode(body)
    except InvalidArguments:
        pass
    except ApiError as error:
        assert error.status == 400


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "items", "count", "labels", "other", ""), json_values)))
def test_every_bad_field_is_named(body: dict[str, Any]) -> None:
    types: dict[str, Any] = {
        "name": lambda value: isinstance(value, str),
        "items": lambda value: isinstance(value, list) and all(type(item) in (int, float) for item in value),
        "count": lambda value: type(value) is int,
        "labels": lambda value: value is None or (isinstance(value, dict) and all(type(item) is int for item in value.values())),
    }
    bad = {name for name, value in body.items() if name not in types or not types[name](value)} | (
        {"name", "items"} - body.keys()
    )
    if not bad:
        decode(body)
        return
    named = {path.removeprefix("body.").partition("[")[0] for path in problems(body)}
    assert {name.partition(".")[0].partition("[")[0] for name in named} == bad


def test_an_empty_body_equals_an_empty_object() -> None:
    assert (
        problems(b"")
        == problems(b"{}")
        == {
            "body.name": "Required field is missing",
            "body.items": "Required field is missing",
        }
    )


@pytest.mark.parametrize("body", [b"[]", b"null", b"3", b'"text"', b"true"])
def test_json_that_is_no_object_is_refused_as_a_whole(body: bytes) -> None:
    assert list(problems(body)) == ["body"]


def test_a_path_leads_into_lists_and_objects() -> None:
    assert list(problems({**GOOD, "items": [1.0, 2.0, "three"]})) == ["body.items[2]"]
    assert list(problems({**GOOD, "labels": {"a": "b"}})) == ["body.labels[...]"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_number_is_no_json(number: str) -> None:
    with pytest.raises(ApiError, match="not JSON") as caught:
        decode(b'{"name": "a", "items": [%s]}' % number.encode())
    assert caught.value.status == 400


def test_a_number_beyond_every_float_is_refused_where_it_stands() -> None:
    assert problems(b'{"name": "a", "items": [1e999]}') == {"body.items[0]": "Number out of range"}


def test_of_a_key_that_comes_twice_the_last_value_counts() -> None:
    assert decode(b'{"name": "a", "items": [], "name": "b"}')["name"] == "b"


def test_half_a_surrogate_pair_is_no_json() -> None:
    with pytest.raises(ApiError, match="not JSON"):
        decode(b'{"name": "\\ud800", "items": []}')


def nested(levels: int) -> bytes:
    return b'{"name": "a", "items": [], "anything": ' + b"[" * levels + b"]" * levels + b"}"


def test_the_deepest_allowed_nesting_passes() -> None:
    decode(nested(DEEPEST - 1))


@pytest.mark.parametrize("levels", [DEEPEST, 1000, 100_000])
def test_deeper_nesting_is_refused(levels: int) -> None:
    with pytest.raises(ApiError, match="nested more than"):
        decode(nested(levels))


@given(st.integers(0, 200), st.sampled_from(["[]", "{}"]))
def test_depth_is_counted_over_both_kinds_of_bracket(levels: int, inner: str) -> None:
    body: Any = json.loads(inner)
    for level in range(levels):
        body = [body] if level % 2 else {"]": body}
    text = json.dumps([body] * 3).encode()
    if levels + 2 <= DEEPEST:
        check_depth(text)
    else:
        with pytest.raises(ApiError):
            check_depth(text)


@given(st.lists(st.sampled_from(['"', "\\", "[", "]", "{", "}", "a"]), max_size=300).map("".join))
def test_brackets_in_strings_do_not_count(text: str) -> None:
    check_depth(json.dumps({"text": text, "more": [text]}).encode())


def test_invalid_arguments_answer_422_with_details() -> None:
    try:
        decode({"name": 1, "items": []})
    except InvalidArguments as error:
        answer = translate(error)
    assert answer is not None
    assert (answer.status, answer.code) == (422, "INVALID_ARGUMENTS")
    assert answer.details == [{"path": "body.name", "message": "Expected `str`, got `int`"}]
