"""Checks whether a history of concurrent units of work could have happened one after the other (serializability).

The method is Elle's (Kingsbury and Alvaro, VLDB 2020), for registers that are lists: every write appends a value that occurs
once, so the final lists tell in which order writes happened, and every read tells which writes it saw. Dependencies between
units of work follow from that; a cycle of them cannot be put in any order.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """One acknowledged unit of work: what it appended, and which lists it saw before it appended anything to them."""

    name: int
    appended: Mapping[int, Sequence[int]]  # register -> values in order
    seen: Mapping[int, Sequence[int]]  # register -> the whole list as it was read


def anomaly(units: Sequence[Unit], final: Mapping[int, Sequence[int]]) -> str | None:
    """What is wrong with a history, or None. `final`: every register after all units of work.

    `units` are all that were acknowledged: one that was refused must have left nothing.
    """
    writer = {value: unit.name for unit in units for values in unit.appended.values() for value in values}
    for register, values in final.items():
        if strange := [value for value in values if value not in writer]:
            return f"refused and done: register {register} holds {strange}, which nobody was told to have appended"
    for unit in units:
        for register, values in unit.appended.items():
            lost = [value for value in values if final.get(register, ()).count(value) != 1]
            if lost:
                return f"lost update: unit {unit.name} appended {lost} to register {register}; they are not there once"
        for register, seen in unit.seen.items():
            if list(final.get(register, ()))[: len(seen)] != list(seen):
                return f"unit {unit.name} read {list(seen)} in register {register}, which was never its state"
    return _cycle(_dependencies(units, final, writer))


def _dependencies(units: Sequence[Unit], final: Mapping[int, Sequence[int]], writer: Mapping[int, int]) -> dict[int, set[int]]:
    """unit -> units that have to come after it."""
    after: dict[int, set[int]] = {unit.name: set() for unit in units}

    def precedes(first: int | None, second: int | None) -> None:
        if first is not None and second is not None and first != second:
            after[first].add(second)

    for values in final.values():
        for earlier, later in itertools.pairwise(values):
            precedes(writer.get(earlier), writer.get(later))
    for unit in units:
        for register, seen in unit.seen.items():
            values = final.get(register, ())
            if seen:
                precedes(writer.get(seen[-1]), unit.name)
            if len(seen) < len(values):
                precedes(unit.name, writer.get(values[len(seen)]))
    return after


def _cycle(after: Mapping[int, set[int]]) -> str | None:
    state: dict[int, int] = {}
    for start in after:
        path = [(start, iter(after[start]))] if start not in state else []
        state.setdefault(start, 1)
        while path:
            name, following = path[-1]
            for later in following:
                if state.get(later) == 1:
                    return f"write skew or worse: {[each for each, _ in path]} and back to {later} cannot be put in any order"
                if later not in state:
                    state[later] = 1
                    path.append((later, iter(after[later])))
                    break
            else:
                state[name] = 2
                path.pop()
    return None
