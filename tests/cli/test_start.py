"""`jac start` and `jac start --scale --target local` as a person runs them: real processes, real requests."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import servers
from jacfn_cli.bundles import project_bundle
from jacfn_cli.printer import Printer
from jacfn_cli.settings import read_settings

JACFN = Path(sys.executable).with_name("jacfn")
OURS = re.compile(r"JACFN_|K8s_|JWT_|SSO_|DOCKER_|MONGODB_|REDIS_|SHELF_|APP_NAME|JAC_PROFILE")
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "main.jac"
ENV = {name: value for name, value in os.environ.items() if not OURS.match(name)}
GREETER = """
import from teapot { pour }
def : pub greet() -> str { return pour(); }
node Seed { has n: int = 1; }
node MainSeed { has n: int = 1; }
with entry { root ++> Seed(); }
with entry:__main__ { root ++> MainSeed(); }
"""


class Started:
    """A running `jacfn start`: its output so far, and requests to it."""

    def __init__(self, folder: Path, *arguments: str, **env: str) -> None:
        self.port = servers.free_port()
        self.said = ""
        self.process = subprocess.Popen(
            [JACFN, "start", *arguments, "--port", str(self.port)],
            cwd=folder,
            env={**ENV, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False, verify=False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._until_it_answers()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                self._client.get("/healthz/live")
                return
            time.sleep(0.05)
        raise AssertionError(self.said)

    def post(self, path: str, body: object = None, token: str = "") -> httpx.Response:
        return self._client.post(path, json=body or {}, headers={"Authorization": f"Bearer {token}"} if token else {})

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def login(self) -> str:
        """A token of a new user."""
        user = {"username": f"u{time.monotonic_ns()}", "password": "correct horse battery"}
        assert self.post("/register", user).status_code == 201
        token: str = self.post("/login", user).json()["data"]["token"]
        return token

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.said:
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def end(self, number: int = signal.SIGTERM) -> int:
        self._client.close()
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextlib.contextmanager
def started(folder: Path, *arguments: str, **env: str) -> Iterator[Started]:
    running = Started(folder, *arguments, **env)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def refused(folder: Path, *arguments: str, **env: str) -> tuple[int, str]:
    """Exit code and stderr of a command that does not get as far as serving."""
    done = subprocess.run(
        [JACFN, *arguments], cwd=folder, env={**ENV, **env}, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document's program with its bundle."""
    folder = tmp_path_factory.mktemp("built") / "shop"
    folder.mkdir()
    entry = Path(shutil.copy2(SHOP, folder))
    project_bundle(entry, read_settings(folder, {}), Printer(), "leave")
    return folder


@pytest.fixture
def folder(tmp_path: Path, built: Path) -> Path:
    """A project `shop` with the document's program."""
    return Path(shutil.copytree(built, tmp_path / "shop"))


def items(answer: httpx.Response) -> list[Any]:
    return [item["name"] for item in answer.json()["data"]["reports"][0]]


def test_plain_start_serves_the_documents_program_and_keeps_its_data(folder: Path) -> None:
    with started(folder) as shop:
        assert shop.post("/walker/create_item", {"name": "Widget", "price": 9.99}).status_code == 401
        token = shop.login()
        assert shop.post("/walker/create_item", {"name": "Widget", "price": 9.99}, token).status_code == 200
        assert shop.post("/function/calculate_total", {"items": [10.0, 20.0, 30.0]}, token).json()["data"]["result"] == 60.0
        assert shop.get("/docs").status_code == 200
        assert shop.end() == 0
    assert f"API   http://localhost:{shop.port}\nDocs  http://localhost:{shop.port}/docs\n" in shop.said
    assert "POST /walker/create_item        login   name: str, price: float  main.jac:13\n" in shop.said
    assert (folder / ".jac" / "data" / "anchor_store.db").is_file()
    with started(folder) as shop:
        assert items(shop.post("/walker/get_items", {}, token)) == ["Widget"]
    code, _ = refused(folder, "graph", "check")
    assert code == 0


def counted(folder: Path, session: str) -> dict[str, int]:
    """Nodes and edges by type, as `jacfn graph count` says."""
    command = [JACFN, "graph", "count", "--session", session]
    done = subprocess.run(command, cwd=folder, env=ENV, capture_output=True, text=True, timeout=60, check=True)
    return {name.rpartition(".")[2]: int(number) for name, number in map(str.split, done.stdout.splitlines()[1:])}


def installed(folder: Path, name: str, code: str) -> None:
    """A package in the project's own environment, as `jac install` puts it there."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / ".jac" / "venv" / "lib" / version / "site-packages"
    (packages / f"{name}-1.0.dist-info").mkdir(parents=True)
    (packages / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (packages / f"{name}.py").write_text(code)


def test_the_entry_point_is_served_main_blocks_run_with_main_once_and_a_session_has_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "app.jac").write_text(GREETER)
    (tmp_path / "jac.toml").write_text('[project]\nentry-point = "app.jac"\n[dependencies]\nteapot = "*"\n')
    installed(tmp_path, "teapot", "def pour() -> str:\n    return 'hello'\n")
    for option in (("--no-main", "--session", "without"), ("--session", "with"), ("--main", "--session", "with")):
        with started(tmp_path, *option) as greeter:
            assert greeter.post("/function/greet").json()["data"]["result"] == "hello"
    without, with_main = counted(tmp_path, "without"), counted(tmp_path, "with")
    assert (without["Seed"], without.get("MainSeed", 0)) == (1, 0)
    assert (with_main["Seed"], with_main["MainSeed"]) == (1, 1)
    assert sorted(path.name for path in (tmp_path / ".jac" / "data").glob("*.db")) == ["with.db", "without.db"]


def test_the_local_target_wakes_an_endpoint_lets_it_sleep_and_says_what_that_took(folder: Path) -> None:
    with started(folder, "--scale", "--target", "local", JACFN_WINDOW="1s") as shop:
        token = shop.login()
        assert shop.post("/walker/create_item", {"name": "Widget", "price": 9.99}, token).status_code == 200
        assert items(shop.post("/walker/get_items", {}, token)) == ["Widget"]
        by_host = httpx.post(
            f"http://127.0.0.1:{shop.port}/",
            headers={"Host": "get-items.shop.localhost", "Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )
        assert items(by_host) == ["Widget"]
        shop.wait_for("walker/create_item  1 -> 0")
        shop.wait_for("walker/get_items  1 -> 0")
        assert items(shop.post("/walker/get_items", {}, token)) == ["Widget"]
        assert shop.end() == 0
    assert re.search(r"walker/create_item  0 -> 1  listens after \d+ ms\n", shop.said)
    assert re.search(r"POST /walker/create_item  200  cold \d+ ms\n", shop.said)
    assert re.search(r"\nENDPOINT +COLD CALLS .*\nwalker/create_item +1 +\d+ ms +0 +-\nwalker/get_items +2 +\d+ ms +", shop.said)


def test_a_port_in_use_is_named_with_its_owner(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for target in ((), ("--scale", "--target", "local")):
            code, said = refused(folder, "start", "--port", str(port), *target)
            assert code == 1
            assert said.startswith(f"Error: Port {port} on 127.0.0.1 is in use\n  process {os.getpid()}: ")
            assert said.endswith(f"\nStop it, or choose another: --port {port + 1}\n")


def test_an_entry_block_that_raises_stops_the_start_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "main.jac").write_text("def : pub f() -> int { return 1; }\nwith entry { print(1 / 0); }\n")
    code, said = refused(tmp_path, "start", "--port", str(servers.free_port()))
    assert code == 1
    assert "main.jac:2" in said
    assert "ZeroDivisionError" in said


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"JWT_SECRET": "short"}, "Error: JWT_SECRET is 5 bytes long; tokens signed with it could be forged\n"),
        ({"MONGODB_URI": "mongodb://127.0.0.1:1/x"}, "Error: JWT_SECRET is not set, and with MONGODB_URI set this is no laptop"),
    ],
)
def test_a_secret_that_is_none_is_refused_before_anything_starts(folder: Path, env: dict[str, str], said: str) -> None:
    code, stderr = refused(folder, "start", "--port", str(servers.free_port()), **env)
    assert code == 2
    assert said in stderr
