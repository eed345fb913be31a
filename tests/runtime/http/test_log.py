"""One JSON line for each thing that an operator has to know."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from jacfn_runtime.http.log import Lines, jac_place, log


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def in_a_process(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **env}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


def test_a_line_has_time_level_event_and_what_else_was_said(capfd: pytest.CaptureFixture[str]) -> None:
    log("warning", "it\nbroke", reason='"quoted"', empty="", missing=None, number=0)
    (line,) = lines(capfd)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "event": "it\nbroke", "reason": '"quoted"', "number": 0}


def test_in_a_cluster_a_line_says_which_revision_wrote_it() -> None:
    done = in_a_process("from jacfn_runtime.http.log import log; log('info', 'x')", K_SERVICE="shop", K_REVISION="shop-00002")
    line = json.loads(done.stderr)
    assert (line["service"], line["revision"]) == ("shop", "shop-00002")


def test_a_reader_that_has_gone_ends_nothing() -> None:
    code = "import os, sys; from jacfn_runtime.http.log import log; os.close(2); log('error', 'x'); print('on')"
    assert in_a_process(code).stdout == "on\n"


def test_what_libraries_log_comes_out_in_the_same_lines(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("inside")
    except ValueError as error:
        record = logging.LogRecord("their.name", logging.ERROR, "f", 1, "%s failed", ("it",), (type(error), error, None))
    Lines().handle(record)
    (line,) = lines(capfd)
    assert (line["level"], line["event"], line["logger"]) == ("error", "it failed", "their.name")
    assert "ValueError: inside" in line["traceback"]


def test_a_program_that_sets_logging_up_keeps_what_it_set_up() -> None:
    code = (
        "import logging; from jacfn_runtime.http.log import take_over; take_over();"
        "logging.basicConfig(level='INFO', format='mine %(message)s'); logging.info('hello')"
    )
    assert in_a_process(code).stderr == "mine hello\n"


def test_the_place_is_the_innermost_line_of_the_programs_own() -> None:
    def raises(file: str, inner: str) -> None:
        exec(compile(f"\n\n{inner}", file, "exec"), {"inner": lambda: 1 / 0})

    try:
        raises("main.jac", "inner()")
    except ZeroDivisionError as error:
        assert jac_place(error) == "main.jac:3"
    try:
        raises("/site/jaclang/runtime.jac", "inner()")
    except ZeroDivisionError as error:
        assert jac_place(error) == ""


def test_for_a_person_a_line_is_text_and_a_traceback_is_readable() -> None:
    code = "from jacfn_runtime.http.log import log; log('error', 'it broke', jac='main.jac:3', traceback='Traceback\\n  line\\n')"
    assert in_a_process(code, JACFN_LOG="text").stderr == "error: it broke  jac=main.jac:3\nTraceback\n  line\n"


@pytest.mark.parametrize("style", ["json", "text"])
def test_half_a_surrogate_pair_does_not_keep_a_line_from_being_written(style: str) -> None:
    done = in_a_process("from jacfn_runtime.http.log import log; log('error', 'x', reason=chr(0xD800))", JACFN_LOG=style)
    assert "reason" in done.stderr
