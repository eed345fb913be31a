"""`python -m jacfn_runtime init`: seeds once, waits for stores, and names the line that raises."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import servers
from jacfn_runtime.program.bundle import build_bundle
from services import SECRET

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


INIT = [sys.executable, "-m", "jacfn_runtime", "init"]


def environment(program: str, folder: Path, **env: str) -> dict[str, str]:
    """The environment of an init on this program's bundle, which is built if it is not there."""
    bundle = folder / "bundle"
    if not bundle.exists():
        (folder / "main.jac").write_text(program)
        build_bundle(folder / "main.jac", bundle)
    return {"PATH": os.environ["PATH"], "JACFN_BUNDLE": str(bundle), "SHELF_DB_PATH": str(folder / "store.db"), **env}


def init(program: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(INIT, env=environment(program, folder, **env), capture_output=True, text=True, timeout=60)


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


def test_stores_that_come_up_later_are_waited_for(tmp_path: Path) -> None:
    with servers.mongodb(tmp_path) as mongodb:
        env = environment(SEED, tmp_path, MONGODB_URI=mongodb.url.replace("/?", "/later?"), JWT_SECRET=SECRET)
        mongodb.stop()
        log = tmp_path / "init.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(INIT, env=env, stdout=subprocess.DEVNULL, stderr=stderr)
        deadline = time.monotonic() + 50
        while "waiting for it" not in log.read_text():
            assert time.monotonic() < deadline and process.poll() is None, log.read_text()
            time.sleep(0.1)
        mongodb.start()
        assert process.wait(50) == 0, log.read_text()


def test_an_address_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    ended = init(SEED, tmp_path, MONGODB_URI="not a uri", JWT_SECRET=SECRET)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
