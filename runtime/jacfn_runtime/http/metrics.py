"""Counts requests in plain integers, and shows them in Prometheus' format when somebody asks.

prometheus_client is imported with the first question: most function services are never asked, and its import takes 70 ms.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one process. Used on one event loop."""

    def __init__(self) -> None:
        self._loader = "none"
        self._fallbacks = 0
        self._replays: Callable[[], int] = int
        self._requests: dict[tuple[str, int], int] = {}
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._started_in: float | None = None

    def loaded(self, loader: str, replays: Callable[[], int]) -> None:
        """The program is loaded; `replays` tells how many units of work had to be run again so far."""
        self._loader = loader
        self._replays = replays

    def fell_back(self) -> None:
        """The slim loader stepped aside."""
        self._fallbacks += 1

    def listening(self) -> None:
        """The process accepts connections from now on."""
        began = process_start()
        self._started_in = None if began is None else time.time() - began

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._requests[endpoint, status] = self._requests.get((endpoint, status), 0) + 1
        buckets = self._durations.get(endpoint)
        if buckets is None:
            buckets = self._durations[endpoint] = [0] * (len(BUCKETS) + 1)
            self._seconds[endpoint] = 0.0
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[endpoint] += seconds

    def render(self) -> bytes:
        """Everything that was counted, in the text format of Prometheus."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's interface of a collector."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily("jacfn_requests", "Requests answered", labels=["endpoint", "status"])
        for (endpoint, status), number in sorted(self._requests.items()):
            requests.add_metric([endpoint, str(status)], number)
        yield requests
        seconds = HistogramMetricFamily("jacfn_request_duration_seconds", "From header to answer", labels=["endpoint"])
        for endpoint, counts in sorted(self._durations.items()):
            seconds.add_metric([endpoint], _cumulated(counts), self._seconds[endpoint])
        yield seconds
        yield CounterMetricFamily("jacfn_replays", "Units of work that were run again after a conflict", value=self._replays())
        yield CounterMetricFamily("jacfn_loader_fallbacks", "Times that the slim loader stepped aside", value=self._fallbacks)
        loader: Any = GaugeMetricFamily("jacfn_loader", "1 for the loader in use", labels=["loader"])
        loader.add_metric([self._loader], 1)
        yield loader
        if self._started_in is not None:
            cold = self._started_in
            yield GaugeMetricFamily("jacfn_cold_start_seconds", "From the start of the process until it listened", value=cold)


def _cumulated(counts: list[int]) -> list[tuple[str, float]]:
    total, rows = 0, []
    for bound, number in zip([*map(str, BUCKETS), "+Inf"], counts, strict=True):
        total += number
        rows.append((bound, float(total)))
    return rows


def process_start() -> float | None:
    """When this process was started, in seconds since 1970, to about 10 ms; None where there is no /proc.

    proc(5): field 22 of /proc/self/stat counts from boot, in clock ticks.
    """
    if not Path("/proc/self/stat").exists():
        return None
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])
    return booted + ticks / os.sysconf("SC_CLK_TCK")
