"""The command group. Each command's module is imported when the command is asked for, so that `--help` stays quick."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from jacfn_cli.failure import report
from jacfn_cli.printer import Printer

COMMANDS = {
    "start": "Serve a program here; with --scale, deploy it.",
    "destroy": "Remove a deployed app and everything that belongs to it.",
    "bundle": "Write a program's bundle into a folder.",
    "image": "Make container images without docker.",
    "settings": "Show every setting, and where it comes from.",
    "graph": "Look at a program's stored graph, and check it.",
}


class Commands(click.Group):
    """A group that knows its commands' names and imports none of them before it must."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            if near := get_close_matches(name, COMMANDS, n=1):
                ctx.fail(f"No such command '{name}'. Did you mean '{near[0]}'?")
            return None
        command: click.Command = import_module(f"jacfn_cli.commands.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(  # type: ignore[override]  # it always exits, whatever the mode
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run, report whatever goes wrong, and exit. Every way into the program goes through here."""
        printer = Printer()
        extra["standalone_mode"] = False
        try:
            result = super().main(args, prog_name, obj=printer, **extra)
            code = result if isinstance(result, int) else 0
        except (Exception, KeyboardInterrupt) as error:
            code = report(error, printer)
        raise SystemExit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="jacfn", prog_name="jacfn")
def cli() -> None:
    """Turn a Jac program into serverless functions."""


def main() -> None:
    """The console script."""
    cli.main()
