"""What the milliseconds of a function service's start are: a tree of its imports, widest first. `python -m tests.bench.flame`.

`-X importtime` slows imports down by a quarter or so: read shares, not times. Nothing here has a budget.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.start import OURS, connected, servers, variants

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")
LEAST = 0.02  # of all imports: what is narrower is not told
DEPTH = 4


@dataclass
class Import:
    """A module, and what it was the first to import. Microseconds."""

    name: str
    cumulative: int
    children: list[Import] = field(default_factory=list)


def imports(log: str) -> list[Import]:
    """The trees in what `-X importtime` says: a module comes after all that it imported, two spaces less deep."""
    levels: dict[int, list[Import]] = {}
    for _, cumulative, indent, name in LINE.findall(log):
        depth = len(indent) // 2
        levels.setdefault(depth, []).append(Import(name, int(cumulative), levels.pop(depth + 1, [])))
    return levels.get(0, [])


def lines(trees: list[Import], whole: int, depth: int = 0) -> Iterator[str]:
    """One line for each module that is wide enough, the widest first, with its share of all imports."""
    for each in sorted(trees, key=lambda tree: -tree.cumulative):
        if each.cumulative >= LEAST * whole and depth < DEPTH:
            yield f"{each.cumulative / whole:>5.0%} {each.cumulative / 1000:>7.1f} ms  {'  ' * depth}{each.name}"
            yield from lines(each.children, whole, depth + 1)


def log_of(env: dict[str, str]) -> str:
    """What one start until it listens says about its imports."""
    port = servers.free_port()
    command = [OURS[0], "-X", "importtime", *OURS[1:]]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=env | {"PORT": str(port)}, stderr=log)
        connected(process, port, float("inf")).close()
        process.terminate()
        process.wait(30)
        log.seek(0)
        return log.read()


def main() -> None:
    """Print the tree of each of ours."""
    with tempfile.TemporaryDirectory() as folder, variants(Path(folder)) as ours:
        for name, env in ours.items():
            log_of(env)  # a first one leaves bytecode and fills the file cache
            trees = imports(log_of(env))
            whole = sum(tree.cumulative for tree in trees)
            print(f"== {name}: {whole / 1000:.0f} ms of imports", *lines(trees, whole), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
