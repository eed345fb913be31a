"""Which files `include` brings into a bundle: what a pattern may be, and what never comes along under any name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jacfn_runtime.errors import ProgramError
from jacfn_runtime.program.include import included


def find(root: Path, *patterns: str) -> list[str]:
    return list(included(root, patterns, lambda _: None))


def make(root: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("pattern", ["", "**x", "./."])
def test_what_is_no_pattern_is_refused_with_an_example_of_one(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ProgramError, match="no pattern") as error:
        find(tmp_path, pattern)
    assert "data/*.json" in error.value.next_step


@pytest.mark.parametrize("pattern", [".", "./"])
def test_a_dot_means_the_whole_folder_without_what_is_hidden(tmp_path: Path, pattern: str) -> None:
    make(tmp_path, "main.jac", "data/a b ü.txt", ".env", ".env.local", ".git/config", "data/.jac/data/store.db", ".JAC/x")
    assert find(tmp_path, pattern) == ["data/a b ü.txt", "main.jac"]


@pytest.mark.parametrize("target", [".env", ".git", "tls.key"])
def test_a_link_to_a_secret_inside_the_folder_is_not_followed(tmp_path: Path, target: str) -> None:
    make(tmp_path, ".env", ".git/config", "tls.key", "data/own.txt")
    (tmp_path / "data" / "harmless.txt").symlink_to(tmp_path / target)
    assert find(tmp_path, "data", "data/harmless.txt") == ["data/own.txt"]


def test_a_link_to_a_file_that_may_join_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "shared/rates.json")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rates.json").symlink_to(tmp_path / "shared" / "rates.json")
    assert find(tmp_path, "data") == ["data/rates.json"]


def test_a_link_that_leads_nowhere_is_no_file(tmp_path: Path) -> None:
    make(tmp_path, "data/own.txt")
    (tmp_path / "data" / "broken.txt").symlink_to("nowhere")
    assert find(tmp_path, "data/*") == ["data/own.txt"]


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ProgramError, match="no such file"):
        find(tmp_path, "pipe")


@pytest.mark.parametrize(
    "name",
    ["ID_RSA", "deploy_ed25519", "prod.env", "prod.env.bak", "Server.PEM", "secrets.json", "client_secret_1.json", "login.ppk"],
)
def test_what_is_named_like_a_secret_is_left_out_however_it_is_spelled(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"deep/er/{name}", "deep/own.txt")
    assert find(tmp_path, "deep") == ["deep/own.txt"]


@pytest.mark.parametrize(
    "head", ["-----BEGIN OPENSSH PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\n", "PuTTY-User-Key-File-3: "]
)
def test_a_private_key_is_left_out_under_any_name(tmp_path: Path, head: str) -> None:
    make(tmp_path, "data/deploy.txt", text=head)
    make(tmp_path, "data/public.crt", text="-----BEGIN CERTIFICATE-----\n")
    assert find(tmp_path, "data") == ["data/public.crt"]


@pytest.mark.parametrize("made", [("out/manifest.json", "out/code.bin"), ("out/pyvenv.cfg",)], ids=["bundle", "environment"])
def test_an_earlier_bundle_and_a_virtual_environment_are_left_out(tmp_path: Path, made: tuple[str, ...]) -> None:
    make(tmp_path, "main.jac", "out/src/main.jac", *made)
    assert find(tmp_path, ".") == ["main.jac"]


def test_a_name_that_is_not_utf8_is_refused_with_the_name(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    with pytest.raises(ProgramError, match="not UTF-8") as error:
        find(tmp_path, ".")
    assert "caf" in error.value.what
