"""`jacfn graph count` and `jacfn graph check`: look into the store that the settings name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from jacfn_cli.entry import open_entry
from jacfn_cli.environment import environment
from jacfn_cli.printer import Printer
from jacfn_runtime.errors import JacfnError

if TYPE_CHECKING:
    from jacfn_runtime.memory.graph import Inspection


class Unsound(JacfnError):
    """The store holds edges that lead nowhere."""


@click.group("graph")
def command() -> None:
    """Look at a program's stored graph, and check it. Nothing is changed."""


@command.command("count")
@click.argument("filename", required=False, metavar="[FILE]")
@click.option("--session", "-s", help="The session whose graph it is.")
@click.option("--profile", default="", help="The jac.toml profile.")
@click.pass_obj
def count(printer: Printer, filename: str | None, session: str | None, profile: str) -> None:
    """How many nodes and edges there are of each type."""
    found = _inspect(printer, filename, session, profile)
    printer.table(["TYPE", "COUNT"], [[name, str(number)] for name, number in sorted(found.counts.items())])


@command.command("check")
@click.argument("filename", required=False, metavar="[FILE]")
@click.option("--session", "-s", help="The session whose graph it is.")
@click.option("--profile", default="", help="The jac.toml profile.")
@click.pass_obj
def check(printer: Printer, filename: str | None, session: str | None, profile: str) -> None:
    """Whether every edge has both its ends. Exit code 1 if one has not."""
    found = _inspect(printer, filename, session, profile)
    if not found.sound:
        rows = [f"{edge.type} {edge.id}: {edge.source} -> {edge.target}" for edge in found.dangling]
        raise Unsound(f"{len(rows)} edges lead nowhere", evidence="\n".join(rows))
    printer.data(f"sound: {sum(found.counts.values())} nodes and edges")


def _inspect(printer: Printer, filename: str | None, session: str | None, profile: str) -> Inspection:
    from jacfn_runtime.memory.graph import Graph
    from jacfn_runtime.settings import Settings

    _, settings = open_entry(filename, printer, profile, {"serve.session": session})
    settings.need("plugins.scale.database")
    store = Settings.read(environment(settings, settings.folder, settings.serve.session, run_main=False))
    if store.embedded and not store.shelf_db_path.is_file():
        raise JacfnError(
            f"There is no graph yet: {store.shelf_db_path} does not exist",
            next_step="`jac start` makes it; --session names another.",
        )

    async def inspect() -> Inspection:
        graph = Graph.open(store)
        try:
            return await graph.inspect()
        finally:
            await graph.close()

    return asyncio.run(inspect())
