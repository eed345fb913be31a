"""Which image an app runs in: the runtime image of the settings, or with --build one of its own, made and pushed here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jacfn_cli.settings import Settings
from jacfn_knative.report import Report
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.manifest import MANIFEST, Manifest

if TYPE_CHECKING:
    from jacfn_knative.image.credentials import Keychain


def keychain(settings: Settings, registry: str) -> Keychain:
    """This user's logins. docker_username and docker_password are for `registry` if one is named, else for Docker Hub."""
    from jacfn_knative.image.credentials import Credentials, Keychain
    from jacfn_knative.image.reference import DOCKER_HUB

    kubernetes = settings.kubernetes
    login = {}
    if kubernetes.docker_username and kubernetes.docker_password:
        login = {registry or DOCKER_HUB: Credentials(kubernetes.docker_username, kubernetes.docker_password)}
    return Keychain.load(os.environ, login)


def runtime_image(settings: Settings) -> str:
    """The reference of the runtime image. Raises SettingsError if none is set."""
    if not settings.knative.runtime_image:
        raise SettingsError(
            "There is no runtime image for the cluster",
            evidence="Neither [plugins.scale.knative] runtime_image nor JACFN_RUNTIME_IMAGE is set.",
            next_step="Make one: jacfn image runtime --push REGISTRY/NAME:TAG; or let --build make an image of the app's own.",
        )
    return settings.knative.runtime_image


def app_name(settings: Settings, manifest: Manifest) -> str:
    """The name under which --build pushes, tagged with the bundle's hash. Raises SettingsError if no registry is known."""
    tag = manifest.hash[:12]
    if settings.knative.registry:
        return f"{settings.knative.registry.rstrip('/')}/{settings.kubernetes.app_name}:{tag}"
    if settings.kubernetes.docker_username:
        return f"docker.io/{settings.kubernetes.docker_username}/{settings.kubernetes.app_name}:{tag}"
    raise SettingsError(
        "--build has no registry to push to",
        next_step="Set DOCKER_USERNAME (and DOCKER_PASSWORD) for Docker Hub, or --registry for another one.",
    )


def bundle_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """A bundle's files by path within it, the manifest included."""
    return {name: (folder / name).read_bytes() for name in (*manifest.files, MANIFEST)}


def build_and_push(settings: Settings, folder: Path, manifest: Manifest, platform: str, report: Report) -> str:
    """Make the app's own image of base, wheels and bundle, and push it. Its reference by digest. Raises ImageError."""
    from jacfn_knative.image.build import build_app, build_runtime
    from jacfn_knative.image.push import push, read_image
    from jacfn_knative.image.reference import Reference

    name = app_name(settings, manifest)
    logins = keychain(settings, Reference.parse(name).registry)
    if settings.knative.runtime_image:
        base = read_image(settings.knative.runtime_image, platform, logins, report=report)
    else:
        base = build_runtime(platform=platform, keychain=logins, report=report)
    image = build_app(base, bundle_files(folder, manifest), dependencies=manifest.dependencies, report=report)
    return push(image, name, logins, report=report).reference
