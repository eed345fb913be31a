"""What our part adds to a `jac` command that only prints help."""

from __future__ import annotations

import statistics
import subprocess
import time

from tests.bench.table import Row

from e2e import homes

ROUNDS = 7


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=homes.clean_env())
    return time.perf_counter() - started


def measure() -> list[Row]:
    """`jac start --help` (ours, through the plugin) over `jac --version` (jaclang's own), interleaved."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(seconds([str(homes.BIN / "jac"), "--version"]))
        ours.append(seconds([str(homes.BIN / "jac"), "start", "--help"]))
    more = (statistics.median(ours) - statistics.median(theirs)) * 1e3
    return [
        Row(
            "`jac start --help`, our share over `jac` itself",
            more,
            "ms",
            150,
            {"jac itself": f"{statistics.median(theirs) * 1e3:.0f} ms"},
        )
    ]
