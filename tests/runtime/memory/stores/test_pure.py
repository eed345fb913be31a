"""The pure parts: values as BSON, the breaker, the queues."""

from __future__ import annotations

import json
import threading

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import store_scenes as scenes
from jacfn_runtime.memory.breaker import Breaker
from jacfn_runtime.memory.lanes import Lanes
from jacfn_runtime.memory.mongo_values import escape, from_bson, from_bson_fields, to_bson, to_bson_fields, unescape
from jacfn_runtime.memory.redis_copies import changed_names
from jacfn_runtime.memory.store import ChangeSet

TEXT = st.text(st.characters(), max_size=8)  # every code point, lone surrogates too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("jacfn:json"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.sampled_from(["$a", "jacfn:json", "a.b"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_every_json_value_survives_bson(value: object) -> None:
    stored = bson.decode(bson.encode({"value": to_bson(value)}))["value"]
    assert scenes.same({"v": from_bson(stored)}, {"v": json.loads(json.dumps(value))})


@given(st.dictionaries(TEXT, st.integers(0, 9), max_size=5))
def test_every_field_name_survives_as_a_step_of_a_path(fields: dict[str, int]) -> None:
    stored = to_bson_fields(fields)
    assert from_bson_fields(bson.decode(bson.encode(stored))) == fields
    for name in fields:
        step = escape(name)
        assert step
        assert not {".", "$", "\0"} & set(step)
        assert unescape(step) == name


def test_identifiers_keep_their_names_in_the_database() -> None:
    assert escape("price") == "price"
    assert to_bson({"plain": [1, "a"]}) == {"plain": [1, "a"]}


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", [object()]])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_bson(value)


def test_a_breaker_lets_everybody_ask_until_a_failure_and_then_one_at_a_time() -> None:
    now = 0.0
    breaker = Breaker(2.0, clock=lambda: now)
    assert [breaker.allow() for _ in range(3)] == [True] * 3
    breaker.failed()
    assert breaker.open
    assert not breaker.allow()
    now = 2.0
    assert [breaker.allow() for _ in range(3)] == [True, False, False]
    breaker.failed()
    now = 3.9
    assert not breaker.allow()
    now = 4.0
    assert breaker.allow()
    breaker.succeeded()
    assert not breaker.open
    assert [breaker.allow() for _ in range(3)] == [True] * 3


def test_commits_of_the_same_document_queue_and_others_do_not() -> None:
    lanes = Lanes()
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(50):
            with lanes.queued(["a", "b"], 5):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    with lanes.queued(["c"], 5):
        for thread in threads:
            thread.join(20)
    assert most == [1]


def test_a_queue_that_takes_too_long_is_left() -> None:
    lanes = Lanes()
    with lanes.queued(["a"], 1), lanes.queued(["a"], 0.01):
        pass
    with lanes.queued(["a"], 0):
        pass


def test_the_copies_that_a_commit_makes_wrong() -> None:
    hub, new = scenes.node(id="h"), scenes.node(id="new")
    gone = scenes.edge("x", "y")
    changes = ChangeSet(
        created_nodes=(new,), created_edges=(scenes.edge(hub, new),), deleted_nodes={"d": 0}, deleted_edges={gone.id: gone}
    )
    assert changed_names(changes, ["far"]) == ["e:d", "e:far", "e:h", "e:x", "e:y", "n:d"]
    assert changed_names(ChangeSet(created_nodes=(new,), marks={"m": "1"}, relied_nodes={"r": 0}), ()) == []
