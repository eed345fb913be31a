"""`jacfn image runtime`: the image in which every bundle of this jacfn runs, pushed or written to a file, without docker."""

from __future__ import annotations

import os
from pathlib import Path

import click

from jacfn_cli.logins import keychain
from jacfn_cli.printer import Printer
from jacfn_cli.progress import narrate
from jacfn_cli.settings import read_settings


@click.group("image")
def command() -> None:
    """Make container images without docker."""


@command.command("runtime")
@click.option("--push", "reference", metavar="REF", help="Push it under this name, e.g. ghcr.io/me/jacfn:1.0.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write an archive for `kind load image-archive` and its like.",
)
@click.option("--name", metavar="REF", help="The image's name in the archive.  [default: dev.local/jacfn-runtime:VERSION]")
@click.option("--base", default="", metavar="REF", help="The base image.  [default: python:3.x-slim of this Python]")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="linux/amd64 or linux/arm64; with --push it may be repeated, and one name stands for all.  [default: this machine's]",
)
@click.pass_obj
def runtime(
    printer: Printer, reference: str | None, output: Path | None, name: str | None, base: str, platforms: tuple[str, ...]
) -> None:
    """Make the runtime image from a base image and wheels. Prints its reference by digest.

    Logins: DOCKER_USERNAME and DOCKER_PASSWORD for Docker Hub, else what `docker login` left.
    """
    if not reference and not output:
        raise click.UsageError("Say where to: --push REF or --output FILE")
    if name and not output:
        raise click.UsageError("--name is the name in the archive, and needs --output")
    if output and len(set(platforms)) > 1:
        raise click.UsageError("An archive has one platform: write one for each, or --push them under one name")
    from jacfn_knative.image.build import build_runtime, host_platform
    from jacfn_knative.image.push import amount, check_push, push, push_index, save
    from jacfn_knative.image.reference import Reference

    settings = read_settings(Path.cwd(), os.environ)
    printer.hide(settings.secrets)
    settings.need("plugins.scale.kubernetes.docker_username", "plugins.scale.kubernetes.docker_password")
    logins = keychain(settings, Reference.parse(reference).registry if reference else "")
    report = narrate(printer)
    if reference:
        check_push(reference, logins)  # a wrong password is told now, and not after a minute of building
    wanted = sorted(set(platforms)) or [host_platform()]
    images = [build_runtime(base=base, platform=platform, keychain=logins, report=report) for platform in wanted]
    if output:
        archived = name or f"dev.local/jacfn-runtime:{_version()}"
        save(images[0], archived, output, logins, report=report)
        if not reference:
            printer.data(archived)
    if reference:
        several = len(images) > 1
        pushed = (
            push_index(images, reference, logins, report=report) if several else push(images[0], reference, logins, report=report)
        )
        printer.note(f"sent {pushed.sent} blobs, {amount(pushed.sent_bytes)}; {pushed.present} were there")
        printer.data(pushed.reference)


def _version() -> str:
    from importlib.metadata import version

    return version("jacfn")
