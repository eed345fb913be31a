"""`jacfn settings [FILE]`: every setting, its value, and where that comes from."""

from __future__ import annotations

from collections.abc import Mapping

import click
import msgspec

from jacfn_cli.entry import open_entry
from jacfn_cli.printer import Printer
from jacfn_cli.sections import SECTIONS, TABLES, Section, extra, fields


@click.command("settings")
@click.argument("filename", required=False, metavar="[FILE]")
@click.option("--profile", default="", help="The jac.toml profile.")
@click.pass_obj
def command(printer: Printer, filename: str | None, profile: str) -> None:
    """Print every setting that a command would use, with its origin: environment variable, jac.toml or default."""
    _, settings = open_entry(filename, printer, profile)
    named: dict[str, tuple[type[Section], Section]] = {
        prefix: (kind, getattr(settings, prefix.rpartition(".")[2])) for prefix, kind in SECTIONS.items()
    }
    tables: dict[str, Mapping[str, Section]] = {"sso": settings.sso_providers, "functions": settings.functions}
    for table, sections in tables.items():
        for name, section in sections.items():
            named[f"plugins.scale.{table}.{name}"] = (TABLES[f"plugins.scale.{table}"], section)
    rows = []
    for prefix, (kind, section) in named.items():
        values = msgspec.to_builtins(section)
        for name, annotated in fields(kind).items():
            key = f"{prefix}.{name}"
            shown = "(hidden)" if values[name] and extra(annotated, "secret") else _shown(values[name])
            if key in settings.missing:
                shown = f"{settings.missing[key][0]} is not set"
            rows.append([key, shown, settings.origin(key)])
    printer.table(["SETTING", "VALUE", "ORIGIN"], sorted(rows))


def _shown(value: object) -> str:
    return "-" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)
