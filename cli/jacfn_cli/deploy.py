"""`jac start --scale`: what can be wrong is found first, then cluster, namespace and plan are said, then it is written."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jacfn_cli.bundles import bundle_files, project_bundle
from jacfn_cli.describe import describe
from jacfn_cli.endpoints import endpoint_table
from jacfn_cli.images import app_image, check_place
from jacfn_cli.own_image import Build, save_own
from jacfn_cli.printer import Printer
from jacfn_cli.progress import narrate
from jacfn_cli.settings import Settings
from jacfn_knative.app import Bundle, Image
from jacfn_runtime.program.catalog import Catalog

if TYPE_CHECKING:
    from jacfn_knative.cluster import Cluster, Deployed, Prepared
    from jacfn_knative.plan import Action

SECTIONS = ("jwt", "sso", "database", "kubernetes", "knative", "functions", "env", "secrets")
ELSEWHERE = {
    "serve.port": "--port is where this machine listens: in a cluster it is node_port (K8s_NODE_PORT), and this has no effect",
    "serve.session": "--session names a file on this machine: in a cluster the graph is in MongoDB, and this has no effect",
}
VERBS: dict[Action, str] = {
    "create": "to create",
    "update": "to change",
    "replace": "to replace",
    "delete": "to remove",
    "keep": "unchanged",
}


def deploy_app(entry: Path, settings: Settings, printer: Printer, *, build: Build | None, context: str, dry_run: bool) -> None:
    """Deploy the program to the cluster. With `dry_run` only say what would change, with `build.output` only write an archive.

    Raises SettingsError, ProgramError, and whatever `images` and the knative room raise.
    """
    login = ("plugins.scale.kubernetes.docker_username", "plugins.scale.kubernetes.docker_password")
    settings.need("project.name", *(f"plugins.scale.{section}" for section in SECTIONS), without=() if build else login)
    for key, text in ELSEWHERE.items():
        if settings.origin(key).startswith("--"):
            printer.warning(text)
    report = narrate(printer)
    check_place(settings, build, report)
    folder, manifest = project_bundle(entry, settings, printer, "leave" if build else "carry")
    # Settings that cannot be are found before an image is made and pushed: which one it is says nothing about them.
    wanted = describe(
        settings, manifest.catalog, Bundle(hash=manifest.hash), Image(reference="not-made-yet"), settings.serve.main
    )
    if build and build.output:
        nodes = () if build.platforms else platforms(open_cluster(settings, printer, context))
        _say_archive(save_own(settings, folder, manifest, build, build.output, nodes, report), build, printer)
        return
    cluster = open_cluster(settings, printer, context)
    from jacfn_knative.cluster import carry_out, discover, prepare

    capabilities = discover(cluster)
    image, carried = app_image(settings, folder, manifest, build, platforms(cluster), report)
    bundle = (
        Bundle(hash=manifest.hash, folder=carried)
        if carried
        else Bundle(hash=manifest.hash, files=bundle_files(folder, manifest))
    )
    prepared = prepare(cluster, replace(wanted, bundle=bundle, image=image), capabilities, report)
    _say_plan(prepared, printer)
    if dry_run:
        rows = [[change.action, change.reference, ", ".join(change.reasons)] for change in prepared.changes]
        printer.table(["ACTION", "OBJECT", "BECAUSE OF"], rows)
        return
    ingress = settings.knative.ingress_address.removeprefix("http://").rstrip("/")
    deployed = carry_out(cluster, prepared, report, ingress_address=ingress)
    say_addresses(deployed, manifest.catalog, printer)


def open_cluster(settings: Settings, printer: Printer, context: str) -> Cluster:
    """The connection, and where it leads, said before anything is written."""
    from jacfn_knative.cluster import connect

    cluster = connect(context or None)
    kubernetes = settings.kubernetes
    printer.note(f"Context    {cluster.context}")
    printer.note(f"Server     {cluster.server}")
    printer.note(f"Namespace  {kubernetes.namespace}  ({settings.origin('plugins.scale.kubernetes.namespace')})")
    printer.note(f"App        {kubernetes.app_name}  ({settings.origin('plugins.scale.kubernetes.app_name')})")
    return cluster


def platforms(cluster: Cluster) -> list[str]:
    """The platforms of the cluster's Linux nodes, such as linux/amd64; [] for somebody who may not see nodes."""
    from jacfn_knative.errors import ClusterError

    try:
        nodes = cluster.request("get", "/api/v1/nodes")["items"]
    except ClusterError:
        return []
    found = [node["status"]["nodeInfo"] for node in nodes]
    return sorted({f"linux/{info['architecture']}" for info in found if info["operatingSystem"] == "linux"})


def _say_archive(name: str, build: Build, printer: Printer) -> None:
    """The image's name, and what is left to do: nothing is deployed before the nodes have it."""
    home = name.partition("/")[0]
    again = " ".join(("jac start --scale --build --registry", home, *(f"--platform {each}" for each in build.platforms)))
    printer.data(name)
    printer.note(f"Next: load {build.output} into every node (kind load image-archive, minikube image load, or `ctr -n k8s.io")
    printer.note(f"images import`), then deploy: {again}")


def _say_plan(prepared: Prepared, printer: Printer) -> None:
    app, capabilities = prepared.app, prepared.capabilities
    if capabilities.knative:
        printer.note(
            f"Engine     Knative Serving {capabilities.knative_version}: a service for each endpoint, none awake when idle"
        )
    else:
        scaling = app.autoscaling
        printer.note(
            f"Engine     a Deployment with {scaling.min_replicas} to {scaling.max_replicas} pods: this cluster has no Knative, "
            "so nothing scales to zero"
        )
    size = sum(map(len, app.bundle.files.values()))
    printer.note(f"Image      {app.image.reference}")
    if size:
        printer.note(f"Bundle     {app.bundle.hash[:12]}: {size / 1024:.0f} KiB: {', '.join(sorted(app.bundle.files))}")
    counts = Counter(change.action for change in prepared.changes)
    printer.note(f"Plan       {', '.join(f'{counts[action]} {text}' for action, text in VERBS.items() if counts[action])}")


def say_addresses(deployed: Deployed, catalog: Catalog, printer: Printer) -> None:
    """The table of URLs, and how the whole app is reached."""
    urls = {row.id: row.url for row in deployed.rows}
    front = deployed.addresses[0].url if deployed.addresses else ""
    urls |= {endpoint.id: f"{front}/{endpoint.id}" for endpoint in catalog.endpoints if endpoint.id not in urls}
    printer.table(*endpoint_table(catalog, urls))
    for row in deployed.rows:
        if row.id == "gateway":
            printer.note(f"Gateway    {row.url}")
    for address in deployed.addresses:
        printer.note(f"API        {address.url}" + (f"  ({address.note})" if address.note else ""))
        printer.note(f"Docs       {address.url}/docs")
    for note in deployed.notes:
        printer.warning(note)
