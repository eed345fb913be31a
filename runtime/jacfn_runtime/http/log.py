"""One JSON line on stderr for each thing that an operator has to know. No access log: the platform in front has one.
With JACFN_LOG=text, which `jac start` sets, lines for a person instead: a traceback is no good in one line of JSON.

Written straight away, without the logging package: setting that up, or importing structlog (60 ms alone), costs a cold start more
than all the lines that most function services ever write.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from typing import Any, Literal

from jacfn_runtime.http.envelope import encode

Level = Literal["info", "warning", "error"]

_FOR_PEOPLE = os.environ.get("JACFN_LOG") == "text"
_WHERE = {key: value for name, key in (("K_SERVICE", "service"), ("K_REVISION", "revision")) if (value := os.environ.get(name))}


def log(level: Level, event: str, **fields: Any) -> None:
    """Write `{"time", "level", "event", ...}`; empty fields are left out. Never raises: a full pipe ends no request."""
    said = {name: value for name, value in fields.items() if value not in ("", None)}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    if _FOR_PEOPLE:
        line = _text(level, event, said).encode("utf-8", "replace")
    else:
        line = encode({"time": f"{stamp}Z", "level": level, "event": event, **_WHERE, **said})
    try:
        sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
    except (OSError, ValueError):
        pass


def _text(level: Level, event: str, said: dict[str, Any]) -> str:
    traceback = str(said.pop("traceback", "")).rstrip()
    line = "  ".join([f"{level}: {event}", *(f"{name}={value}" for name, value in said.items())])
    return f"{line}\n{traceback}" if traceback else line


class Lines(logging.Handler):
    """What libraries and other rooms log, in the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Part of logging's interface of a handler."""
        trace = ""
        if record.exc_info and record.exc_info[1] is not None:
            import traceback

            trace = "".join(traceback.format_exception(record.exc_info[1]))
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        log(level, record.getMessage(), logger=record.name, traceback=trace)


def take_over() -> None:
    """Warnings that no handler takes come out as lines. A program that sets logging up for itself keeps what it set up.

    What it prints comes out line by line as well: into a pipe, Python would keep it back until there are 8 KiB, or lose it.
    """
    logging.lastResort = Lines(logging.WARNING)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def log_failure(error: BaseException, request_id: str, endpoint: str) -> None:
    """The program's own failure: the traceback, and the place in Jac where it happened."""
    import traceback

    log(
        "error",
        "the program raised an error",
        request_id=request_id,
        endpoint=endpoint,
        error="".join(traceback.format_exception_only(error)).strip(),
        jac=jac_place(error),
        traceback="".join(traceback.format_exception(error)),
    )


def jac_place(error: BaseException) -> str:
    """`main.jac:17`: the innermost line of the program's own that the error passed, or what caused it; or an empty string."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.endswith(".jac") and "/jaclang/" not in file:
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place if place or error.__cause__ is None else jac_place(error.__cause__)
