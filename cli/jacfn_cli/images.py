"""Which image an app runs in: the runtime image of the settings, or with --build one of its own, made and pushed here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jacfn_cli.settings import Settings
from jacfn_knative.app import Image, PullCredentials
from jacfn_knative.report import Event, Report
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.manifest import MANIFEST, Manifest

if TYPE_CHECKING:
    from jacfn_knative.image.credentials import Keychain


def check_place(settings: Settings, build: bool) -> None:
    """Raise SettingsError unless the settings name a runtime image, or with `build` a registry to push to."""
    if build and not (settings.knative.registry or settings.kubernetes.docker_username):
        raise SettingsError(
            "--build has no registry to push to",
            next_step="Set DOCKER_USERNAME and DOCKER_PASSWORD for Docker Hub, or --registry for another one.",
        )
    if not build and not settings.knative.runtime_image:
        raise SettingsError(
            "There is no runtime image for the cluster",
            evidence="Neither [plugins.scale.knative] runtime_image nor JACFN_RUNTIME_IMAGE is set.",
            next_step="Make one: jacfn image runtime --push REGISTRY/NAME:TAG; or let --build make an image of the app's own.",
        )


def keychain(settings: Settings, registry: str) -> Keychain:
    """This user's logins. docker_username and docker_password are for `registry` if one is named, else for Docker Hub."""
    from jacfn_knative.image.credentials import Credentials, Keychain
    from jacfn_knative.image.reference import DOCKER_HUB

    kubernetes = settings.kubernetes
    login = {}
    if kubernetes.docker_username and kubernetes.docker_password:
        login = {registry or DOCKER_HUB: Credentials(kubernetes.docker_username, kubernetes.docker_password)}
    return Keychain.load(os.environ, login)


def app_image(
    settings: Settings, folder: Path, manifest: Manifest, build: bool, nodes: Sequence[str], report: Report
) -> tuple[Image, str]:
    """The image by digest, checked to exist and to fit bundle and nodes; and the folder in it that has the bundle, if one has.

    With `build` it is made and pushed first. Raises ImageError.
    """
    from jacfn_knative.image.build import BUNDLE_FOLDER
    from jacfn_knative.image.fit import check_fit
    from jacfn_knative.image.push import inspect
    from jacfn_knative.image.reference import Reference

    name = _own_name(settings, manifest) if build else settings.knative.runtime_image
    reference = Reference.parse(name)
    logins = keychain(settings, reference.registry if build else "")
    carried = ""
    if build:
        name = _build_and_push(settings, name, folder, manifest, nodes, logins, report)
        carried = BUNDLE_FOLDER
    if reference.node_local:
        report(Event("check", name, "loaded into the nodes, so no registry can be asked about it"))
        return Image(reference=name), carried
    report(Event("check", name, "is it there, and does it fit"))
    found = inspect(name, logins)
    check_fit(found, manifest, nodes)
    return Image(reference=found.reference, credentials=_pull_credentials(found.reference, logins, report)), carried


def bundle_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """A bundle's files by path within it, the manifest included."""
    return {name: (folder / name).read_bytes() for name in (*manifest.files, MANIFEST)}


def _own_name(settings: Settings, manifest: Manifest) -> str:
    place = settings.knative.registry.rstrip("/") or f"docker.io/{settings.kubernetes.docker_username}"
    return f"{place}/{settings.kubernetes.app_name}:{manifest.hash[:12]}"


def _build_and_push(
    settings: Settings, name: str, folder: Path, manifest: Manifest, nodes: Sequence[str], logins: Keychain, report: Report
) -> str:
    """Base, wheels and bundle as one image, for the platform of the first node; its reference by digest."""
    from jacfn_knative.image.build import build_app, build_runtime, host_platform
    from jacfn_knative.image.push import push, read_image

    platform = nodes[0] if nodes else host_platform()
    if settings.knative.runtime_image:
        base = read_image(settings.knative.runtime_image, platform, logins, report=report)
    else:
        base = build_runtime(platform=platform, keychain=logins, report=report)
    image = build_app(base, bundle_files(folder, manifest), dependencies=manifest.dependencies, report=report)
    return push(image, name, logins, report=report).reference


def _pull_credentials(reference: str, logins: Keychain, report: Report) -> PullCredentials | None:
    """What the nodes need in order to pull, if they cannot do so without a login."""
    from jacfn_knative.image.push import anonymous_pull_works
    from jacfn_knative.image.reference import Reference

    if anonymous_pull_works(reference):
        return None
    registry = Reference.parse(reference).registry
    credentials = logins.find(registry).credentials
    if credentials is None or not credentials.password:
        report(Event("warning", reference, "the registry wants a login, and there is no password here to give to the nodes"))
        return None
    return PullCredentials(registry=registry, username=credentials.username, password=credentials.password)
