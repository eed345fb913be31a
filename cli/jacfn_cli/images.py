"""Which image an app runs in: the runtime image of the settings, or with --build one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jacfn_cli.logins import keychain, pull_credentials
from jacfn_cli.own_image import Build, check_registry, push_own
from jacfn_cli.settings import Settings
from jacfn_knative.app import Image
from jacfn_knative.report import Event, Report
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.manifest import Manifest


def check_place(settings: Settings, build: Build | None, report: Report) -> None:
    """Raise SettingsError without a runtime image, or with `build` a registry to push to; RegistryError if we may not."""
    if build:
        check_registry(settings, build, report)
    elif not settings.knative.runtime_image:
        raise SettingsError(
            "There is no runtime image for the cluster",
            evidence="Neither [plugins.scale.knative] runtime_image nor JACFN_RUNTIME_IMAGE is set.",
            next_step="Make one: jacfn image runtime --push REGISTRY/NAME:TAG; or let --build make an image of the app's own.",
        )


def app_image(
    settings: Settings, folder: Path, manifest: Manifest, build: Build | None, nodes: Sequence[str], report: Report
) -> tuple[Image, str]:
    """The image by digest, checked to exist and to fit bundle and nodes; and the folder in it that has the bundle, if one has.

    With `build` it is made and pushed first. Raises SettingsError, ImageError.
    """
    from jacfn_knative.image.build import BUNDLE_FOLDER
    from jacfn_knative.image.fit import check_fit
    from jacfn_knative.image.push import inspect
    from jacfn_knative.image.reference import Reference

    name = push_own(settings, folder, manifest, build, nodes, report) if build else settings.knative.runtime_image
    carried = BUNDLE_FOLDER if build else ""
    reference = Reference.parse(name)
    if reference.node_local:
        report(Event("check", name, "has to be in every node already: no registry can be asked about it"))
        return Image(reference=name), carried
    report(Event("check", name, "is it there, and does it fit"))
    logins = keychain(settings, reference.registry if build else "")
    found = inspect(name, logins)
    check_fit(found, manifest, nodes)
    return Image(reference=found.reference, credentials=pull_credentials(found.reference, logins, report)), carried
