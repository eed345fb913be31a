"""`--build`: an image of the app's own, from a base, wheels and the bundle, for all nodes; pushed, or written as an archive.

Where there is no registry, the image's name is `dev.local/<app>:<digest>`, which stands for content as a digest does: whoever
builds the same thing again gets the name that was loaded into the nodes, and a change gets another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jacfn_cli.bundles import bundle_files
from jacfn_cli.logins import keychain
from jacfn_cli.settings import Settings
from jacfn_knative.report import Event, Report
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.manifest import Manifest

if TYPE_CHECKING:
    from jacfn_knative.image.credentials import Keychain
    from jacfn_knative.image.model import Image as Made
    from jacfn_knative.image.reference import Reference

NO_REGISTRY = "dev.local"
"""Knative looks no tags up under this name (`registries-skipping-tag-resolving`), and kubelets use what was loaded."""


@dataclass(frozen=True, slots=True)
class Build:
    """What `--build` is told by the other options."""

    builder: Literal["jacfn", "docker"] = "jacfn"
    """`docker`: the project's Dockerfile makes the base."""
    platforms: tuple[str, ...] = ()
    """`linux/arm64`, ...; () is every platform that the cluster has nodes of."""
    output: Path | None = None
    """Write an archive here, and deploy nothing."""


def check_registry(settings: Settings, build: Build, report: Report) -> None:
    """Find out whether the image could be pushed, before anything is built.

    Raises SettingsError if no registry is named, BadReference; LoginFailed, LoginRequired, PushDenied and other RegistryErrors.
    """
    from jacfn_knative.image.model import Platform
    from jacfn_knative.image.push import check_push

    for text in build.platforms:
        Platform.parse(text)
    if build.output and not build.output.absolute().parent.is_dir():
        raise SettingsError(f"There is no folder {build.output.parent} for the archive", next_step="Make it, or choose another.")
    if not (build.output or settings.knative.registry or settings.kubernetes.docker_username):
        raise SettingsError(
            "--build has no registry to push to",
            next_step="Set DOCKER_USERNAME and DOCKER_PASSWORD for Docker Hub, or --registry for another one; "
            "for a cluster without a registry write an archive: --output image.tar.",
        )
    place = _place(settings, build)
    if place.node_local and build.builder == "docker":
        raise SettingsError(
            "--builder docker hands its image over through a registry, and here is none",
            next_step="Name one with --registry, or leave --builder docker out.",
        )
    if not place.node_local:
        report(Event("check", place.name, "may we push there"))
        check_push(place.name, _logins(settings, place))


def push_own(settings: Settings, folder: Path, manifest: Manifest, build: Build, nodes: Sequence[str], report: Report) -> str:
    """Make the app's image and push it; its reference by digest. Without a registry only its name, which the nodes must know.

    Raises SettingsError, ImageError.
    """
    from jacfn_knative.image.push import push, push_index

    place = _place(settings, build)
    logins = _logins(settings, place)
    images = [
        _make(settings, folder, manifest, build, platform, logins, report) for platform in _platforms(build, nodes, place, report)
    ]
    if place.node_local:
        return _by_content(place, images[0])
    name = f"{place.name}:{manifest.hash[:12]}"
    pushed = push_index(images, name, logins, report=report) if len(images) > 1 else push(images[0], name, logins, report=report)
    return pushed.reference


def save_own(
    settings: Settings, folder: Path, manifest: Manifest, build: Build, output: Path, nodes: Sequence[str], report: Report
) -> str:
    """Make the app's image and write it to the file `output`; its name. Raises SettingsError, ImageError."""
    from jacfn_knative.image.push import save

    place = _place(settings, build)
    logins = _logins(settings, place)
    (platform,) = _platforms(build, nodes, place, report)
    image = _make(settings, folder, manifest, build, platform, logins, report)
    name = _by_content(place, image)
    save(image, name, output, logins, report=report)
    return name


def _place(settings: Settings, build: Build) -> Reference:
    """Where the image belongs: registry and repository. Raises BadReference."""
    from jacfn_knative.image.reference import Reference

    default = f"docker.io/{settings.kubernetes.docker_username}"
    home = NO_REGISTRY if build.output else settings.knative.registry.rstrip("/") or default
    return Reference.parse(f"{home}/{settings.kubernetes.app_name}")


def _logins(settings: Settings, place: Reference) -> Keychain:
    return keychain(settings, "" if place.node_local else place.registry)


def _by_content(place: Reference, image: Made) -> str:
    return f"{place.name}:{image.digest.removeprefix('sha256:')[:12]}"


def _platforms(build: Build, nodes: Sequence[str], place: Reference, report: Report) -> list[str]:
    """What to build for: what was asked for, else what the nodes are, else what this machine is."""
    from jacfn_knative.image.build import host_platform
    from jacfn_knative.image.model import Platform

    chosen = sorted({str(Platform.parse(text)) for text in build.platforms or nodes or (host_platform(),)})
    left_out = sorted(set(nodes) - set(chosen))
    if left_out:
        raise SettingsError(
            f"--platform {', '.join(chosen)} is not enough",
            evidence=f"The cluster has nodes of {', '.join(left_out)} as well, and pods may start on any node.",
            next_step="Leave --platform out: then the image is made for all of them.",
        )
    if place.node_local and len(chosen) > 1:
        raise SettingsError(
            "An image that is loaded into the nodes has one platform",
            evidence=f"This one would be for {', '.join(chosen)}.",
            next_step="Push to a registry (--registry): there one name stands for all platforms.",
        )
    if not (build.platforms or nodes):
        report(Event("warning", chosen[0], "the cluster does not show its nodes; --platform names others than this machine's"))
    return chosen


def _make(
    settings: Settings, folder: Path, manifest: Manifest, build: Build, platform: str, logins: Keychain, report: Report
) -> Made:
    """Base, wheels and bundle for one platform. A base that does not fit the bundle is found here, before anything is sent."""
    from jacfn_knative.image.build import build_app
    from jacfn_knative.image.fit import ImageInfo, check_fit

    name, base = _base(settings, build, platform, logins, report)
    check_fit(ImageInfo(name, str(base.platform), base.labels), manifest, (platform,))
    return build_app(base, bundle_files(folder, manifest), dependencies=manifest.dependencies, report=report)


def _base(settings: Settings, build: Build, platform: str, logins: Keychain, report: Report) -> tuple[str, Made]:
    """What lies under the bundle: the Dockerfile's image, the runtime image of the settings, or a new one; and its name."""
    from jacfn_knative.image.build import build_runtime
    from jacfn_knative.image.docker import docker_build
    from jacfn_knative.image.push import read_image
    from jacfn_knative.image.reference import Reference

    name = settings.knative.runtime_image
    if build.builder == "docker":
        place = _place(settings, build)
        login = logins.given.get(place.registry)
        tag = f"base-{platform.replace('/', '-')}"
        name = docker_build(settings.folder, f"{place.name}:{tag}", platform, login, report)
    if name and not Reference.parse(name).node_local:  # what was only loaded into the nodes cannot be read from here
        return name, read_image(name, platform, logins, report=report)
    return "the new runtime image", build_runtime(platform=platform, keychain=logins, report=report)
