"""The only place that prints. Data goes to stdout, everything else to stderr.

On a terminal rich draws tables and colours; in a pipe or a log each line stands alone and rich is not even imported.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

import click

SHORTEST_SECRET = 8  # replacing shorter text would garble innocent lines


class Printer:
    """What a command says. `hide` makes it blind for secrets, whoever puts them into a text."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these texts show as `***`."""
        found = {*self._secrets, *(secret for secret in secrets if len(secret) >= SHORTEST_SECRET)}
        self._secrets = tuple(sorted(found, key=len, reverse=True))

    def data(self, line: str) -> None:
        """One line of what the command was asked for."""
        click.echo(self._clean(line))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under their header: drawn on a terminal, aligned plain lines elsewhere."""
        cells = [[self._clean(cell) for cell in row] for row in rows]
        plain = _aligned([list(header), *cells])
        if not sys.stdout.isatty() or len(max(plain, key=len)) > shutil.get_terminal_size().columns - len(header) * 2:
            for line in plain:  # a URL that is broken over two lines cannot be clicked
                click.echo(line)
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        table = Table(*header, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
        for row in cells:
            table.add_row(*(cell.replace("[", r"\[") for cell in row))
        Console().print(table)

    def note(self, text: str) -> None:
        """Progress: what happens now."""
        self._say(text)

    def warning(self, text: str) -> None:
        """Something that the person should know and that does not stop the command."""
        self._say(f"Warning: {text}", "yellow")

    def error(self, what: str, evidence: str = "", next_step: str = "") -> None:
        """What happened, the evidence indented below it, and the next step."""
        self._say(f"Error: {what}", "red")
        for line in evidence.splitlines():
            self._say(f"  {line}")
        if next_step:
            self._say(next_step)

    def ask(self, prompt: str) -> str:
        """What the person types. Only for terminals."""
        answer: str = click.prompt(self._clean(prompt), default="", show_default=False, err=True)
        return answer.strip()

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer."""
        return sys.stdin.isatty()

    def _say(self, text: str, colour: str | None = None) -> None:
        stream: TextIO = sys.stderr
        click.echo(click.style(self._clean(text), fg=colour) if colour and stream.isatty() else self._clean(text), file=stream)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
