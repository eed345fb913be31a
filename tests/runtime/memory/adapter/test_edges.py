"""The edge list of a stored node is what a list would be, and asks the store only when somebody looks."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.memory.adapter.edges import Edges


class Anchor:
    """What the list needs of an edge."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.id = uuid.UUID(key)


class Memory:
    """What the list needs of a memory: it counts how often it is asked."""

    def __init__(self, stored: int) -> None:
        self.anchors = {f"{n:032x}": Anchor(f"{n:032x}") for n in range(stored)}
        self.asked = 0

    def load_edges(self, nodes: Any) -> None:
        self.asked += 1
        for node in nodes:
            node.edges.stored = tuple(SimpleNamespace(id=key) for key in self.anchors)

    def edge_anchor(self, document: Any) -> Anchor:
        return self.anchors[document.id]


def listed(stored: int) -> tuple[Edges, Memory]:
    memory = Memory(stored)
    node: Any = SimpleNamespace(memory=memory)
    node.edges = Edges(node)
    return node.edges, memory


@given(
    st.integers(0, 5), st.lists(st.sampled_from(["append", "discard", "remove", "pop", "look", "load"]), max_size=12), st.data()
)
def test_it_behaves_as_a_list(stored: int, steps: list[str], data: st.DataObject) -> None:
    edges, memory = listed(stored)
    model: list[Anchor] = list(memory.anchors.values())
    for number, step in enumerate(steps):
        if step == "append":
            anchor = Anchor(f"{1000 + number:032x}")
            edges.append(anchor)
            model.append(anchor)
        elif step == "load":
            memory.load_edges([SimpleNamespace(edges=edges)]) if edges.stored is None else None
        elif step == "look":
            assert list(edges) == model
        elif model:
            anchor = data.draw(st.sampled_from(model))
            if step == "pop":
                index = model.index(anchor)
                assert edges.pop(index) is model.pop(index)
            else:
                (edges.discard if step == "discard" else edges.remove)(anchor)
                model.remove(anchor)
    assert list(edges) == model
    assert (len(edges), bool(edges), edges[:], list(reversed(edges))) == (len(model), bool(model), model, model[::-1])
    assert memory.asked <= 1


def test_appending_and_discarding_ask_nothing() -> None:
    edges, memory = listed(3)
    edges.append(Anchor(f"{7:032x}"))
    edges.discard(memory.anchors[f"{1:032x}"])
    assert memory.asked == 0
    assert bool(edges)
    assert memory.asked == 0
    assert [edge.key[-1] for edge in edges] == ["0", "2", "7"]
    assert memory.asked == 1
