"""Compiling Python files to .pyc files that are never checked again (PEP 552, unchecked hashes): an image's files do not change.

A read-only container can write none, so each start would compile everything: 1.6 s of CPU for falcon, uvicorn and two stores
(facts/knative.md B.14). One fresh child process compiles a whole tree in order, which makes the files the same each time: what
marshal writes depends on which objects the process shares.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from jacfn_knative.errors import ImageError

_SECONDS = 600.0


def compile_tree(root: Path) -> None:
    """Write a .pyc beside every .py below `root`, with tracebacks that name the files as if `root` were the image's `/`.

    A file that this Python cannot compile (a template, say) is left without one. Raises ImageError if the compiler cannot run.
    """
    command = [sys.executable, "-S", "-s", "-P", "-W", "ignore", "-m", "compileall", "-q", "-f", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/", str(root)]
    keep = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, env=keep | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode not in (0, 1):  # 1: some file could not be compiled
        raise ImageError("The Python files of the image could not be compiled", evidence=done.stderr[-500:])
