"""A newcomer's first two minutes: clone into an empty directory, `make demo`."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from e2e.homes import BIN, ROOT


def test_make_demo_works_from_a_fresh_clone(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "jacfn")], check=True)
    # The machine's own settings (certificates, mirrors) stay; nothing of this checkout's environment does.
    path = ":".join(folder for folder in os.environ["PATH"].split(":") if folder != str(BIN))
    env = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")} | {
        "PATH": path
    }
    setup = subprocess.run(
        ["make", "setup"], cwd=tmp_path / "jacfn", env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert setup.returncode == 0, setup.stderr
    started = time.monotonic()
    demo = subprocess.run(
        ["make", "demo"], cwd=tmp_path / "jacfn", env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert time.monotonic() - started < 120, "the demo is meant to end by itself in under two minutes"
    status = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path / "jacfn", capture_output=True, text=True, check=True)
    assert status.stdout == ""
