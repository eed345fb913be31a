"""The command group: what it lists, what it refuses, and how an error becomes words and an exit code."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from jacfn_cli import failure
from jacfn_cli.main import COMMANDS, cli
from jacfn_cli.printer import Printer
from jacfn_knative.errors import DeployFailed, InvalidApp, KnativeError
from jacfn_runtime.errors import JacfnError, SettingsError


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"{name} " in result.output
        assert text in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_exists_and_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert (result.exit_code, result.output.startswith(f"Usage: cli {name}")) == (0, True)


def test_an_unknown_command_is_refused_with_a_near_one() -> None:
    result = CliRunner().invoke(cli, ["strat"])
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: No such command 'strat'. Did you mean 'start'?\n")


def test_an_unknown_option_is_refused_with_a_near_one() -> None:
    result = CliRunner().invoke(cli, ["start", "--prot", "1"])
    assert result.exit_code == 2
    assert "No such option '--prot'" in result.stderr
    assert "--port" in result.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from jacfn_cli.main import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stderr
    for heavy in ("jaclang", "kubernetes", "rich", "falcon", "uvicorn", "httpx", "msgspec"):
        assert f"'{heavy}'" not in modules


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            JacfnError("it broke", evidence="line 1\nline 2", next_step="Mend it."),
            1,
            "Error: it broke\n  line 1\n  line 2\nMend it.\n",
        ),
        (SettingsError("wrong"), 2, "Error: wrong\n"),
        (KnativeError("no pod"), 1, "Error: no pod\n"),
        (
            DeployFailed("w is not ready", evidence="OOM", applied=["Secret/a"]),
            1,
            "Error: w is not ready\n  OOM\n  Written before that: Secret/a\n",
        ),
        (InvalidApp("bad name"), 2, "Error: bad name\n"),
        (KeyboardInterrupt(), 130, "Stopped.\n"),
        (click.Abort(), 130, "Stopped.\n"),
        (click.exceptions.Exit(3), 3, ""),
        (click.UsageError("--a needs --b"), 2, "Error: --a needs --b\n"),
    ],
)
def test_an_error_becomes_words_on_stderr_and_its_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failure.report(error, Printer()) == code
    assert capsys.readouterr() == ("", said)


def test_an_unexpected_error_shows_no_traceback_unless_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JACFN_DEBUG", raising=False)
    assert failure.report(ValueError("odd"), Printer()) == 1
    said = capsys.readouterr().err
    assert "ValueError: odd" in said
    assert "Traceback" not in said
    monkeypatch.setenv("JACFN_DEBUG", "1")
    failure.report(ValueError("odd"), Printer())
    assert "ValueError: odd" in capsys.readouterr().err


def test_the_printer_puts_data_on_stdout_and_the_rest_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer()
    printer.table(["NAME", "URL"], [["a", "http://a"], ["longer", "http://b"]])
    printer.data("one")
    printer.note("working")
    printer.warning("careful")
    assert capsys.readouterr() == ("NAME    URL\na       http://a\nlonger  http://b\none\n", "working\nWarning: careful\n")


def test_the_printer_never_shows_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer()
    printer.hide(["hunter2-hunter2", "hunter2-hunter2-longer", "short"])
    printer.data("uri mongodb://u:hunter2-hunter2@h short")
    printer.table(["A"], [["hunter2-hunter2-longer"]])
    printer.error("no", "saw hunter2-hunter2", "hunter2-hunter2")
    shown = "".join(capsys.readouterr())
    assert "hunter2" not in shown
    assert "uri mongodb://u:***@h short\nA\n***\n" in shown
