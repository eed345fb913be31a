"""`python -m jacfn_runtime init`: seeds once, waits for stores, and names the line that raises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jacfn_runtime.program.bundle import build_bundle

SEED = """
node Planet { has name: str; }
with entry { root ++> Planet(name="Mars"); print("seeding"); }
walker:pub nothing {}
"""

RAISES = """import os;
walker:pub nothing {}
with entry {
    if "SEED" in os.environ {
        raise ValueError("no seeds");
    }
}
"""


def init(program: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    bundle = folder / "bundle"
    if not bundle.exists():
        (folder / "main.jac").write_text(program)
        build_bundle(folder / "main.jac", bundle)
    environment = {"PATH": os.environ["PATH"], "JACFN_BUNDLE": str(bundle), "SHELF_DB_PATH": str(folder / "store.db"), **env}
    command = [sys.executable, "-m", "jacfn_runtime", "init"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_entry_blocks_run_once_per_bundle(tmp_path: Path) -> None:
    first, second = init(SEED, tmp_path), init(SEED, tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert ("seeding" in first.stdout, "seeding" in second.stdout) == (True, False)


def test_a_program_that_raises_ends_with_1_and_the_place(tmp_path: Path) -> None:
    ended = init(RAISES, tmp_path, SEED="1")
    assert ended.returncode == 1
    assert "no seeds" in ended.stderr
    assert "main.jac:5" in ended.stderr


@pytest.mark.parametrize(("main", "ran"), [("1", True), ("0", False)])
def test_the_main_entry_block_runs_when_asked_for(tmp_path: Path, main: str, ran: bool) -> None:
    ended = init('walker:pub nothing {}\nwith entry:__main__ { print("as main"); }\n', tmp_path, JACFN_MAIN=main)
    assert ended.returncode == 0, ended.stderr
    assert ("as main" in ended.stdout) is ran
