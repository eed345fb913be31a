"""`jacfn bundle FILE -o DIR`: a program's bundle as a folder."""

from __future__ import annotations

from pathlib import Path

import click

from jacfn_cli.bundles import bundle_project
from jacfn_cli.entry import open_entry
from jacfn_cli.printer import Printer


@click.command("bundle")
@click.argument("filename", required=False, metavar="[FILE]")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="The folder; a bundle in it is replaced.")
@click.option("--profile", default="", help="The jac.toml profile.")
@click.pass_obj
def command(printer: Printer, filename: str | None, output: Path, profile: str) -> None:
    """Write the bundle of the program in FILE: compiled code, sources, catalog and versions. Prints its content hash."""
    from jacfn_runtime.program.bundle import build_bundle

    entry, settings = open_entry(filename, printer, profile)
    manifest = build_bundle(entry, output, printer.note, project=bundle_project(entry, settings))
    size = sum((output / name).stat().st_size for name in manifest.files)
    printer.note(f"{output}: {len(manifest.catalog.endpoints)} endpoints, {len(manifest.files)} files, {size / 1024:.0f} KiB")
    printer.data(manifest.hash)
