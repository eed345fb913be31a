"""The one place that turns an error into words and an exit code: 0 done, 1 it went wrong, 2 it was asked for wrongly."""

from __future__ import annotations

import os
import sys
import traceback

import click

from jacfn_cli.printer import Printer

INTERRUPTED = 130  # what shells give for SIGINT


def report(error: BaseException, printer: Printer) -> int:
    """Say what happened, the evidence and the next step. A traceback only shows with JACFN_DEBUG=1."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | click.Abort):
        printer.note("Stopped.")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show(sys.stderr)
        return error.exit_code
    if os.environ.get("JACFN_DEBUG") == "1":
        traceback.print_exception(error)
    what = getattr(error, "what", "")
    if what:
        shown = [getattr(error, "evidence", "")]
        if applied := getattr(error, "applied", ()):  # a deploy that failed halfway
            shown.append(f"Written before that: {', '.join(applied)}")
        printer.error(what, "\n".join(filter(None, shown)), getattr(error, "next_step", ""))
        return int(getattr(error, "exit_code", 1))
    if isinstance(error, OSError) and error.filename:
        printer.error(f"{error.filename}: {error.strerror}")
        return 1
    place = traceback.extract_tb(error.__traceback__)[-1:]
    evidence = "\n".join([f"{type(error).__name__}: {error}", *(f"at {frame.filename}:{frame.lineno}" for frame in place)])
    printer.error("jacfn met something that it does not know", evidence, "This is a bug in jacfn; JACFN_DEBUG=1 shows all of it.")
    return 1
