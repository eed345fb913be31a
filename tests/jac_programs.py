"""Jac programs for tests: compiled once per test process, loaded under the full loader, their targets by endpoint id."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from jacfn_runtime.program.bundle import build_bundle
from jacfn_runtime.program.load import Program, load


@functools.cache
def loaded(entry: Path) -> Program:
    """The program of this entry file. Its module name must be its own: modules of all programs share one `sys.modules`."""
    return load(bundled(entry), "full")


@functools.cache
def bundled(entry: Path) -> Path:
    """The bundle folder of this entry file, for processes that load it themselves."""
    folder = Path(tempfile.mkdtemp(prefix="jacfn-test-")) / entry.stem
    build_bundle(entry, folder)
    return folder
