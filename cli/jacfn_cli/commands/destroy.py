"""`jac destroy FILE`: remove everything of an app from the cluster, after saying what that is."""

from __future__ import annotations

import click

from jacfn_cli.deploy import open_cluster
from jacfn_cli.entry import open_entry
from jacfn_cli.printer import Printer
from jacfn_cli.progress import narrate
from jacfn_runtime.errors import JacfnError


class NotConfirmed(JacfnError):
    """Nobody said yes. Nothing was touched."""

    exit_code = 2


@click.command("destroy")
@click.argument("filename", metavar="FILE")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--keep-data", is_flag=True, help="Keep the database: MongoDB, its volume and its password.")
@click.option("--context", default="", help="The kubeconfig context.  [default: the current one]")
@click.option("--profile", default="", help="The jac.toml profile.")
@click.pass_obj
def command(printer: Printer, filename: str, yes: bool, keep_data: bool, context: str, profile: str) -> None:
    """Remove the app of the program in FILE: services, deployments, StatefulSets, volumes, secrets. Never the namespace."""
    _, settings = open_entry(filename, printer, profile)
    settings.need("project.name", "plugins.scale.kubernetes.app_name", "plugins.scale.kubernetes.namespace")
    app, namespace, project = settings.kubernetes.app_name, settings.kubernetes.namespace, settings.owner
    cluster = open_cluster(settings, printer, context)
    from jacfn_knative.cluster import destroy, inventory
    from jacfn_knative.manifests.kinds import reference

    going = inventory(cluster, app, namespace, project, keep_data=keep_data)
    if not going:
        printer.note(f"There is nothing of the app {app} in namespace {namespace}.")
        return
    printer.table(["OBJECT"], [[reference(item)] for item in going])
    if any(item["kind"] in ("PersistentVolumeClaim", "StatefulSet") for item in going):
        printer.warning("the database and all its data go too; --keep-data would keep them")
    if not yes:
        _confirm(printer, app)
    gone = destroy(cluster, app, namespace, project, narrate(printer), keep_data=keep_data)
    printer.note(f"{len(gone)} objects removed.")


def _confirm(printer: Printer, app: str) -> None:
    if not printer.interactive:
        raise NotConfirmed("Nobody is here to confirm this; nothing was touched", next_step="--yes goes ahead without asking.")
    if printer.ask(f"Type the app's name to remove it ({app})") != app:
        raise NotConfirmed("That is not the app's name; nothing was touched")
