"""Bad input to every command: exactly what is said, and a non-zero exit. Ports and clusters have their own tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from jacfn_cli.main import cli

COMMANDS = (
    ("start",),
    ("start", "--faux"),
    ("start", "--scale", "--target", "local"),
    ("bundle", "-o", "out"),
    ("graph", "count"),
    ("settings",),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JACFN_RUNTIME_IMAGE", "dev.local/runtime:1")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    return tmp_path


def jac(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("command", [*COMMANDS, ("destroy",), ("start", "--scale")])
def test_no_such_file(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "main.jac").write_text("def : pub f() -> int { return 1; }")
    result = jac(command[0], *command[1:2], "mian.jac", *command[2:]) if command[0] == "graph" else jac(*command, "mian.jac")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There is no file mian.jac\nDid you mean `main.jac`?\n"


@pytest.mark.parametrize("command", [("start",), ("bundle", "-o", "out")])
def test_no_program_at_all(folder: Path, command: tuple[str, ...]) -> None:
    result = jac(*command)
    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no main.jac in {folder}\nName the program's entry file: `jac start app.jac`.\n"


def test_a_folder_and_a_file_of_another_kind(folder: Path) -> None:
    (folder / "app.py").write_text("print(1)")
    assert jac("start", ".").stderr == "Error: . is a folder\nName the program's entry file, such as `main.jac`.\n"
    assert jac("start", "app.py").stderr == "Error: app.py is not a Jac program\nName a file that ends in .jac.\n"


@pytest.mark.parametrize("command", [("start",), ("start", "--faux"), ("start", "--scale"), ("bundle", "-o", "out")])
def test_a_file_without_endpoints(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "main.jac").write_text("node A {}\n")
    result = jac(*command)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: main.jac has no endpoints\nDeclare a walker or a function (`def`) in it, or import one by name.\n"
    )


@pytest.mark.parametrize("command", [("start",), ("start", "--faux"), ("start", "--scale"), ("bundle", "-o", "out")])
def test_a_syntax_error_is_shown_with_file_line_and_caret(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "main.jac").write_text("walker w {\n    has a: ;\n}\n")
    result = jac(*command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: main.jac does not compile: line 2: ")
    assert "  main.jac:2:12: " in result.stderr
    assert "      2 |     has a: ;\n                     ^\n" in result.stderr


def test_a_jac_toml_that_is_no_toml(folder: Path) -> None:
    (folder / "jac.toml").write_text("[serve\n")
    result = jac("start")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {folder / 'jac.toml'} is not valid TOML\n  ")


@pytest.mark.parametrize("more", [(), ("--scale", "--target", "local")])
@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ('[project]\nentry-point = "${GONE}"', "[project] entry-point"),
        ('[serve]\nsession = "${GONE}"', "[serve] session"),
        ('[plugins.scale.server]\nhost = "${GONE}"', "[plugins.scale.server] host"),
    ],
)
def test_a_variable_that_is_not_set_is_not_taken_for_the_default(
    folder: Path, toml: str, key: str, more: tuple[str, ...]
) -> None:
    (folder / "main.jac").write_text("def : pub f() -> int { return 1; }")
    (folder / "jac.toml").write_text(toml)
    result = jac("start", *more)
    assert result.exit_code == 2
    assert f"The environment variable GONE is not set\n  jac.toml: {key} asks for it\n" in result.stderr
    assert not (folder / ".jac").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(folder: Path) -> None:
    (folder / "main.jac").write_text("def : pub f() -> int { return 1; }")
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("keep")
    result = jac("bundle", "-o", "out")
    assert (result.exit_code, (folder / "out" / "mine.txt").read_text()) == (1, "keep")
    assert "out exists and is no bundle\nName another folder.\n" in result.stderr


def test_a_graph_that_does_not_exist_yet(folder: Path) -> None:
    (folder / "main.jac").write_text("def : pub f() -> int { return 1; }")
    result = jac("graph", "check")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: There is no graph yet: {folder / '.jac/data/anchor_store.db'} does not exist\n"
        "`jac start` makes it; --session names another.\n"
    )
    assert not (folder / ".jac").exists()


def test_an_image_needs_a_place(folder: Path) -> None:
    result = jac("image", "runtime")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, "Error: Say where to: --push REF or --output FILE")


def test_a_registry_that_does_not_answer_is_named(folder: Path) -> None:
    result = jac("image", "runtime", "--base", "127.0.0.1:1/none:1", "--push", "127.0.0.1:1/x:1")
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_image_name_that_is_none(folder: Path) -> None:
    result = jac("image", "runtime", "--push", "Not A Name")
    assert result.exit_code != 0
    assert "'Not A Name' is no image reference" in result.stderr
