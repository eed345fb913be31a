"""Who we are at a registry, by settings, environment and docker's configuration; and what the nodes need in order to pull."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jacfn_cli.settings import Settings
from jacfn_knative.app import PullCredentials
from jacfn_knative.report import Event, Report

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


def pull_credentials(reference: str, logins: Keychain, report: Report) -> PullCredentials | None:
    """What the nodes need in order to pull, if they cannot do so without a login. Raises RegistryError: nobody knows."""
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
