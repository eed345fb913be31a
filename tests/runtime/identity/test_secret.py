"""The signing secret: given, made on a laptop, or missing and refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.identity.secret import laptop_secret, signing_secret
from jacfn_runtime.settings import Settings


def laptop(folder: Path) -> Settings:
    return Settings(bundle=folder, shelf_db_path=folder / "data" / "anchor_store.db")


def test_a_given_secret_is_used_and_no_file_is_made(tmp_path: Path) -> None:
    assert signing_secret(replace(laptop(tmp_path), jwt_secret="s" * 64)) == "s" * 64
    assert list(tmp_path.iterdir()) == []


def test_a_laptop_makes_its_own_secret_once(tmp_path: Path) -> None:
    first = signing_secret(laptop(tmp_path))
    assert first == signing_secret(laptop(tmp_path))
    assert len(first) == 128


def test_two_laptops_have_two_secrets(tmp_path: Path) -> None:
    assert signing_secret(laptop(tmp_path / "one")) != signing_secret(laptop(tmp_path / "two"))


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    signing_secret(laptop(tmp_path))
    path = tmp_path / "data" / "anchor_store.db.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    signing_secret(laptop(tmp_path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_server_with_mongodb_and_no_secret_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET is not set"):
        signing_secret(replace(laptop(tmp_path), mongodb_uri="mongodb://db/jac_db"))


def test_a_laptop_that_may_fall_back_to_its_file_makes_its_own(tmp_path: Path) -> None:
    settings = replace(laptop(tmp_path), mongodb_uri="mongodb://db/jac_db", on_unavailable="embedded")
    assert signing_secret(settings)


@pytest.mark.parametrize("content", ["", "secret", "x" * 128, "é" * 128])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.secret").write_text(content)
    with pytest.raises(SettingsError, match=r"store\.secret"):
        laptop_secret(tmp_path / "store")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        laptop_secret(tmp_path / "file" / "store")


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from jacfn_runtime.identity.secret import laptop_secret; "
        "sys.stdin.readline(); print(laptop_secret(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "store")]
    racers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    secrets = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(secrets) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["store.secret"]
