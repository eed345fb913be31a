"""The checker of histories sees what it is meant to see."""

from __future__ import annotations

from histories import Unit, anomaly


def test_a_serial_history_is_fine() -> None:
    units = [Unit(1, {0: [10]}, {0: []}), Unit(2, {0: [20], 1: [21]}, {0: [10]}), Unit(3, {}, {0: [10, 20], 1: [21]})]
    assert anomaly(units, {0: [10, 20], 1: [21]}) is None


def test_an_append_that_is_gone_is_a_lost_update() -> None:
    units = [Unit(1, {0: [10]}, {0: []}), Unit(2, {0: [20]}, {0: []})]
    assert "lost update" in str(anomaly(units, {0: [20]}))


def test_two_that_missed_each_others_write_are_a_write_skew() -> None:
    units = [Unit(1, {0: [10]}, {1: []}), Unit(2, {1: [20]}, {0: []})]
    assert "cannot be put in any order" in str(anomaly(units, {0: [10], 1: [20]}))


def test_a_read_of_a_state_that_never_was_is_seen() -> None:
    units = [Unit(1, {0: [10, 11]}, {}), Unit(2, {}, {0: [11]})]
    assert "never its state" in str(anomaly(units, {0: [10, 11]}))


def test_a_torn_read_of_two_registers_is_seen() -> None:
    units = [Unit(1, {0: [10], 1: [11]}, {}), Unit(2, {}, {0: [10], 1: []})]
    assert "cannot be put in any order" in str(anomaly(units, {0: [10], 1: [11]}))


def test_what_a_refused_unit_left_behind_is_seen() -> None:
    assert "refused and done" in str(anomaly([Unit(1, {0: [10]}, {0: []})], {0: [10, 20]}))
