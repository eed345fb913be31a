"""Quantities are compared by what they mean."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jacfn_knative import quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"), ("250m", "0.25"), (".5", "0.5"), ("2.", "2"), ("1k", "1000"), ("1Ki", "1024"), ("128Mi", "134217728"),
        ("1E", "1000000000000000000"), ("1e3", "1000"), ("1E3", "1000"),
    ],
)  # fmt: skip
def test_a_quantity_is_a_number(text: str, number: str) -> None:
    assert quantity.parse(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "lots", "1 GB", "1Mib", "-1", "1ki", "NaN", "m", "1mm"])
def test_anything_else_is_none(text: str) -> None:
    assert quantity.parse(text) is None


@pytest.mark.parametrize(
    ("first", "second", "smallest"),
    [("25m", "1", "25m"), ("1", "25m", "25m"), ("48Mi", "32Mi", "32Mi"), ("48Mi", "", "48Mi"), ("1", "1000m", "1")],
)
def test_the_smaller_one_is_found(first: str, second: str, smallest: str) -> None:
    assert quantity.smaller(first, second) == smallest
