"""Request bodies against declared types. The targets are plain Python here: what counts is their annotations."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Any

import msgspec
import pytest

from jacfn_runtime.program.arguments import InvalidArguments, arguments_type, bind
from jacfn_runtime.program.catalog import Endpoint, Parameter


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0
    next: Point | None = None


@dataclasses.dataclass
class Circle:
    radius: float


class Foreign:
    pass


@dataclasses.dataclass
class Walker:
    names: list[str]
    limit: int = 10

    def list(self) -> None:
        """An ability named like a builtin."""


def function(
    number: int,
    ratio: float = 1.0,
    color: Color = Color.RED,
    points: list[Point] | None = None,
    shape: Point | Circle | None = None,
    named: dict[str, Point] | None = None,
    pair: tuple[int, Point] | None = None,
    at: datetime.datetime | None = None,
    anything: Any = None,
    foreign: Foreign | None = None,
    unknown: Nowhere = None,  # type: ignore[name-defined]  # noqa: F821
) -> None: ...


def endpoint(target: Any, *required: str) -> Endpoint:
    names = target.__annotations__ if not isinstance(target, type) else [field.name for field in dataclasses.fields(target)]
    parameters = tuple(Parameter(name=name, type="", required=name in required) for name in names if name != "return")
    return Endpoint(kind="function", name="f", access="", parameters=parameters, schema={}, module="m", file="m.jac", line=1)


FUNCTION = arguments_type(function, endpoint(function, "number"))


def problems(body: Any, kind: type[msgspec.Struct] = FUNCTION) -> list[tuple[str, str]]:
    with pytest.raises(InvalidArguments) as error:
        bind(kind, body)
    return [tuple(item) for item in error.value.problems]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ({"number": 1}, {"number": 1}),
        ({"number": 1, "ratio": 2}, {"number": 1, "ratio": 2.0}),
        ({"number": 1, "color": "green"}, {"number": 1, "color": Color.GREEN}),
        ({"number": 1, "points": [{"x": 1}, {"x": 2, "y": 3}]}, {"number": 1, "points": [Point(1.0), Point(2.0, 3.0)]}),
        ({"number": 1, "points": [{"x": 1, "next": {"x": 2}}]}, {"number": 1, "points": [Point(1.0, next=Point(2.0))]}),
        ({"number": 1, "points": None}, {"number": 1, "points": None}),
        ({"number": 1, "shape": {"radius": 2}}, {"number": 1, "shape": Circle(2.0)}),
        ({"number": 1, "shape": {"x": 2}}, {"number": 1, "shape": Point(2.0)}),
        ({"number": 1, "named": {"a": {"x": 1}}}, {"number": 1, "named": {"a": Point(1.0)}}),
        ({"number": 1, "pair": [1, {"x": 1}]}, {"number": 1, "pair": (1, Point(1.0))}),
        ({"number": 1, "at": "2024-01-02T00:00:00"}, {"number": 1, "at": datetime.datetime(2024, 1, 2)}),
        ({"number": 1, "anything": [{"a": 1}]}, {"number": 1, "anything": [{"a": 1}]}),
        ({"number": 1, "foreign": "as it is"}, {"number": 1, "foreign": "as it is"}),
        ({"number": 1, "unknown": 5}, {"number": 1, "unknown": 5}),
    ],
)
def test_a_body_becomes_keyword_arguments(body: Any, arguments: dict[str, Any]) -> None:
    assert bind(FUNCTION, body) == arguments


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("body.number", "Required field is missing")]),
        (None, [("body.number", "Required field is missing")]),
        ([], [("body", "Expected `object`, got `array`")]),
        ({"number": "1"}, [("body.number", "Expected `int`, got `str`")]),
        ({"number": True}, [("body.number", "Expected `int`, got `bool`")]),
        ({"number": 1, "numbr": 2}, [("body.numbr", "Unknown field")]),
        ({"number": 1, "color": "blue"}, [("body.color", "Invalid enum value 'blue'")]),
        ({"number": 1, "points": [{"x": 1}, {"x": "a"}]}, [("body.points[1].x", "Expected `float`, got `str`")]),
        ({"number": 1, "points": [{"y": 1}]}, [("body.points[0]", "Object missing required field `x`")]),
        ({"number": 1, "points": [{"x": 1, "next": {"x": 1, "next": {"x": "a"}}}]}, [
            ("body.points[0].next.next.x", "Expected `float`, got `str`"),
        ]),
        ({"number": 1, "shape": {"z": 1}}, [("body.shape", "Fits none of Point, Circle, NoneType")]),
        ({"number": 1.5, "ratio": "x", "zz": 0}, [
            ("body.zz", "Unknown field"),
            ("body.number", "Expected `int`, got `float`"),
            ("body.ratio", "Expected `float`, got `str`"),
        ]),
    ],
)  # fmt: skip
def test_every_bad_field_is_named_with_its_path(body: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(body) == expected


def test_an_ability_named_list_does_not_shadow_the_builtin() -> None:
    kind = arguments_type(Walker, endpoint(Walker, "names"))
    assert bind(kind, {"names": ["a"]}) == {"names": ["a"]}
    assert problems({"names": [1]}, kind) == [("body.names[0]", "Expected `str`, got `int`")]
