"""Programs for these tests: written into a temporary folder, built, and run in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Write = Callable[..., Path]
DRIVER = Path(__file__).with_name("driver.py")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files of a program and answers the entry file: `write("walker a {}", {"lib/util.jac": "..."})`."""

    def write(main: str, files: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "program"
        for name, text in {"main.jac": main, **(files or {})}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder / "main.jac"

    return write


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter in the tests' own environment."""
    import os

    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=100, env={**os.environ, **environment}
    )


def drive(bundle: Path, loader: str, steps: list[Any]) -> dict[str, Any]:
    """Run the driver's steps against a bundle."""
    done = python(str(DRIVER), str(bundle), loader, json.dumps(steps))
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
