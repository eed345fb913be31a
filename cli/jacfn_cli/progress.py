"""Events of the knative room as lines for a person."""

from __future__ import annotations

from jacfn_cli.printer import Printer
from jacfn_knative.report import Event, Report


def narrate(printer: Printer) -> Report:
    """A report that says each event on stderr, warnings as such."""

    def say(event: Event) -> None:
        text = f"{event.subject}: {event.text}" if event.subject and event.text else event.subject or event.text
        if event.step == "warning":
            printer.warning(text)
        else:
            printer.note(f"{event.step:8}{text}")

    return say
