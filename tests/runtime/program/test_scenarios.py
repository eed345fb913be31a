"""Programs behave the same under both loaders, and as Jac says they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jacfn_runtime.program.bundle import build_bundle

from .conftest import drive

SCENARIOS = Path(__file__).with_name("scenarios")
ITEM = {"_jac_type": "Item", "_jac_id": "id", "_jac_archetype": "node", "color": "red", "price": 1.0, "tags": []}
A, B = {**ITEM, "name": "a"}, {**ITEM, "name": "b", "price": 2.0, "color": "green"}
VISIT = ["root", "entered a", "entered b", "entered c", "left c", "left b", "left a", "end"]

# user, endpoint, arguments (and the place of a start node among those reported so far), expected reports or result
STEPS: list[tuple[list[Any], Any]] = [
    (["ann", "walker/setup", {}], [2]),
    (["ann", "walker/list_items", {}], [[A, B]]),
    (["ann", "walker/list_items", {"cheap": True}], [[A]]),
    (["bob", "walker/list_items", {}], [[]]),
    (["ann", "walker/likes", {}], [[B], [{"_jac_type": "Likes", "_jac_id": "id", "_jac_archetype": "archetype", "weight": 5}]]),
    (
        ["ann", "walker/likes", {"least": 9}],
        [[], [{"_jac_type": "Likes", "_jac_id": "id", "_jac_archetype": "archetype", "weight": 5}]],
    ),
    (["ann", "walker/visitor_walker", {}], [VISIT]),
    (["ann", "walker/union_walker", {}], [["Root", "a", "b", "Special", "c"]]),
    (["ann", "walker/stopping", {}], [1]),
    (["ann", "walker/async_walker", {}], ["async", "a", "b"]),
    (["ann", "walker/half_async", {}], ["was awaited"]),
    (["ann", "walker/late_walker", {}], ["slow a", "slow b"]),
    (["ann", "walker/rename", {"to": "x"}, 0], [{**A, "name": "x"}]),
    (["ann", "walker/spawner", {}], [[item.replace(" a", " x") for item in VISIT]] * 2),
    (["bob", "walker/hang_on", {}, 0], [0]),
    (["bob", "walker/erase", {}, 0], [0]),
    (["ann", "walker/open_item", {"level": "READ"}, 0], [{**A, "name": "x"}]),
    (["bob", "walker/hang_on", {}, 0], [0]),
    (["ann", "walker/open_item", {"level": "CONNECT"}, 0], [{**A, "name": "x"}]),
    (["bob", "walker/hang_on", {}, 0], [1]),
    (["ann", "walker/boom", {}], "IndexError: list index out of range"),
    (["ann", "walker/nothing", {}], []),
    (["ann", "walker/cut", {}], [1]),
    (["ann", "walker/remove", {}], [0]),
    (["ann", "function/count_calls", {}], 1),
    (["ann", "function/count_calls", {}], 2),
    (["ann", "function/price_of", {"p": {"net": 1}}], 17.25),
    (["ann", "function/paint", {"color": "red", "level": 2}], ["red", 2]),
    (["ann", "function/paint", {"color": "blue"}], [["body.color", "Invalid enum value 'blue'"]]),
    (["ann", "function/boxes", {"many": [{"width": 2}, {"width": 1, "height": 1}], "named": {"a": {"width": 1}}}], 6),
    (["ann", "function/python", {"n": 4}], 8),
    (["ann", "function/missing", {}], "Missing: not here"),
    (["ann", "function/reporting", {"n": 1}], "done"),
    (["ann", "function/parallel", {"n": 3}], [6, 8]),
    (["ann", "function/flow_report", {}], 0),
    (["ann", "function/later", {"n": 1}], 1),
    (["ann", "function/when", {"at": "2024-01-02T03:04:05Z"}], 2024),
    (["ann", "function/anything", {"x": {"a": [1]}}], {"a": [1]}),
    (["ann", "function/shape", {"x": None}], "NoneType"),
    (["ann", "function/matched", {"x": 1}], "one"),
    (["ann", "function/comprehended", {"n": 5}], {"0": 0, "2": 4, "4": 16}),
    (["ann", "function/piped", {"x": [1, 2]}], 3),
    (["ann", "function/formatted", {"name": "a", "price": 1}], "    a|1.00"),
    (["ann", "function/caught", {}], "no"),
    (["ann", "function/tagged", {}], ["x", "y"]),
    (["ann", "function/ids", {}], True),
]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenarios' bundle."""
    folder = tmp_path_factory.mktemp("scenarios") / "bundle"
    build_bundle(SCENARIOS / "shop.jac", folder)
    return folder


@pytest.fixture(scope="module")
def outcomes(bundle: Path) -> dict[str, dict[str, Any]]:
    """What both loaders answer to all steps."""
    return {loader: drive(bundle, loader, [step for step, _ in STEPS]) for loader in ("slim", "full")}


@pytest.mark.parametrize("place", range(len(STEPS)), ids=lambda place: f"{place}-{STEPS[place][0][1].partition('/')[2]}")
def test_both_loaders_answer_what_the_program_says(outcomes: dict[str, dict[str, Any]], place: int) -> None:
    step, expected = STEPS[place]
    slim, full = outcomes["slim"]["results"][place], outcomes["full"]["results"][place]
    assert slim == full
    answer = slim.get("error", slim.get("invalid"))
    if answer is None:
        answer = slim["reports"] if step[1].startswith("walker/") else slim["result"]
    assert answer == expected


def test_the_slim_loader_never_wakes_the_compiler(outcomes: dict[str, dict[str, Any]]) -> None:
    assert outcomes["slim"]["loader"] == "slim"
    assert outcomes["slim"]["compiler"] == []
    assert outcomes["slim"]["aside"] == []


def test_a_module_that_the_slim_loader_lacks_comes_from_the_installed_jaclang_and_is_told(bundle: Path) -> None:
    done = drive(bundle, "auto", [["ann", "function/graph", {}], ["ann", "walker/setup", {}]])
    assert done["results"][0]["result"] is True
    assert done["results"][1]["reports"] == [2]
    assert done["loader"] == "slim"
    assert len(done["aside"]) == 1
    assert "jaclang.jac0core.unitree" in done["aside"][0]


def test_reports_are_not_printed(outcomes: dict[str, dict[str, Any]]) -> None:
    """The driver's output is one JSON document: a report on stdout would have spoilt it."""
    assert outcomes["full"]["results"][0]["reports"] == [2]
