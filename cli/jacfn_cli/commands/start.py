"""`jac start [FILE]`: serve a program here, or with --scale deploy it to a cluster or to processes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from jacfn_cli.entry import open_entry
from jacfn_cli.printer import Printer
from jacfn_cli.settings import Settings


@click.command("start")
@click.argument("filename", required=False, metavar="[FILE]")
@click.option("--port", "-p", type=click.IntRange(1, 65535), help="Server port.  [default: 8000]")
@click.option("--session", "-s", help='Session name for persistence: the graph lives in a file of this name.  [default: ""]')
@click.option("--main/--no-main", default=None, help="Run as main module: `with entry:__main__` too.  [default: main]")
@click.option("--faux", "-f", is_flag=True, help="Print the endpoints and stop.")
@click.option("--scale", is_flag=True, help="Deploy: each endpoint a function of its own.")
@click.option("--build", "-b", is_flag=True, help="With --scale: build and push the app's own image first.")
@click.option("--target", type=click.Choice(["cluster", "local"]), help="With --scale: where to.  [default: cluster]")
@click.option("--context", help="With --scale: the kubeconfig context.  [default: the current one]")
@click.option("--registry", help="With --build: where to push, e.g. ghcr.io/me.  [default: docker.io/$DOCKER_USERNAME]")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH",
    help="With --build: make it for linux/amd64, linux/arm64; may be repeated.  [default: what the nodes are]",
)
@click.option(
    "--builder",
    type=click.Choice(["jacfn", "docker"]),
    help="With --build: docker builds the project's Dockerfile (FROM a runtime image) as the base.  [default: jacfn]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --build, for a cluster without a registry: write an archive for its nodes, deploy nothing, say what comes next.",
)
@click.option("--dry-run", is_flag=True, help="With --scale: show what would change, and change nothing.")
@click.option("--profile", default="", help="The jac.toml profile.  [default: JAC_PROFILE, else jac.toml's]")
@click.pass_obj
def command(
    printer: Printer,
    filename: str | None,
    port: int | None,
    session: str | None,
    main: bool | None,
    faux: bool,
    scale: bool,
    build: bool,
    target: str | None,
    context: str | None,
    registry: str | None,
    platforms: tuple[str, ...],
    builder: Literal["jacfn", "docker"] | None,
    output: Path | None,
    dry_run: bool,
    profile: str,
) -> None:
    """Serve the program in FILE on this machine, or deploy it.

    Without FILE it is the entry-point of jac.toml, else main.jac.
    """
    for option, given in {"--build": build, "--target": target, "--context": context, "--dry-run": dry_run}.items():
        if given and not scale:
            raise click.UsageError(f"{option} needs --scale")
    if target == "local" and (build or context or dry_run):
        raise click.UsageError("--build, --context and --dry-run are about a cluster, and --target local is this machine")
    if build and dry_run:
        raise click.UsageError("--dry-run writes nothing, and --build would have to push an image first")
    for option, told in {"--registry": registry, "--platform": platforms, "--builder": builder, "--output": output}.items():
        if told and not build:
            raise click.UsageError(f"{option} needs --build")
    if registry and output:
        raise click.UsageError("--output is for a cluster without a registry, and --registry names one")
    flags = {"plugins.scale.knative.registry": registry, "serve.port": port, "serve.session": session, "serve.main": main}
    entry, settings = open_entry(filename, printer, profile, flags)
    if faux:
        _print_endpoints(entry, settings, printer)
    elif not scale:
        from jacfn_cli.here import serve_here

        serve_here(entry, settings, printer)
    elif target == "local":
        from jacfn_cli.laptop import serve_laptop

        serve_laptop(entry, settings, printer)
    else:
        from jacfn_cli.deploy import deploy_app
        from jacfn_cli.own_image import Build

        own = Build(builder or "jacfn", platforms, output) if build else None
        deploy_app(entry, settings, printer, build=own, context=context or "", dry_run=dry_run)


def _print_endpoints(entry: Path, settings: Settings, printer: Printer) -> None:
    from jacfn_cli.describe import function_sections
    from jacfn_cli.endpoints import endpoint_table
    from jacfn_runtime.program.read import read_catalog

    catalog = read_catalog(entry, printer.note)
    function_sections(settings, catalog)
    printer.table(*endpoint_table(catalog))
