"""What a registry's refusal means to the person who asked: a wrong password is not a missing right. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jacfn_knative.image.credentials import Found
from jacfn_knative.image.errors import (
    ImageNotFound,
    LoginFailed,
    LoginRequired,
    PushDenied,
    RegistryError,
    RegistryFault,
)
from jacfn_knative.image.reference import Reference


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that is no success."""

    status: int
    told: str
    """The registry's own words, if it had any."""
    writing: bool
    """Whether the request was to change something."""
    basic: bool
    """Whether the registry wants a Basic login: it then says 401 for a wrong password, and 403 for a missing right."""


class Asker(Protocol):
    """Who asked: as far as an error tells it."""

    @property
    def found(self) -> Found: ...
    @property
    def evidence(self) -> str: ...
    def failed(self, answer: str = "") -> LoginFailed: ...
    def required(self) -> LoginRequired: ...


def explain(answer: Answer, reference: Reference, asker: Asker) -> RegistryError:
    """The error for an answer to a question about `reference`."""
    told = f"HTTP {answer.status} {answer.told}".strip()
    if answer.status in (401, 403, 405) or (answer.status == 404 and answer.writing):
        known = asker.found.credentials is not None
        if answer.status == 401 and answer.basic and known:
            return asker.failed(told)
        if answer.status == 401 and not known and (answer.basic or answer.writing):
            return asker.required()
        return _no_push(answer, told, reference, asker) if answer.writing else _not_shown(told, reference, asker)
    if answer.status == 404:
        return ImageNotFound(f"There is no image {reference}", evidence=told, next_step=_CHECK)
    return _fault(answer, told, reference)


_CHECK = "Check the name and the tag, and that it was pushed; a private image needs a login that may read it."


def _no_push(answer: Answer, told: str, reference: Reference, asker: Asker) -> RegistryError:
    if answer.status == 404:
        return PushDenied(
            f"{reference.registry} has no repository {reference.repository} and does not make it by itself",
            evidence=told,
            next_step="Create the repository in the registry first, or choose another name.",
        )
    return PushDenied(
        f"{reference.registry} does not let this login push to {reference.repository}",
        evidence=f"{asker.evidence} {told}",
        next_step="Ask its owner for the right to push, or choose a repository of your own (--registry).",
    )


def _not_shown(told: str, reference: Reference, asker: Asker) -> RegistryError:
    if asker.found.credentials is None:
        return LoginRequired(
            f"{reference} does not exist, or {reference.registry} shows it only after a login",
            evidence=f"{told}. {asker.evidence}",
            next_step=f"Check the name, or run `docker login {reference.registry}`.",
        )
    return ImageNotFound(f"There is no image {reference}", evidence=f"{told}. {asker.evidence}", next_step=_CHECK)


def _fault(answer: Answer, told: str, reference: Reference) -> RegistryFault:
    name = reference.registry
    if answer.status == 429:
        return RegistryFault(f"{name} has had too many requests from here", evidence=told, next_step="Wait, or log in.")
    if answer.status == 413:
        return RegistryFault(
            f"{name}, or a proxy in front of it, refuses content of this size",
            evidence=told,
            next_step="Raise the proxy's limit for request bodies.",
        )
    return RegistryFault(f"{name} did not do what was asked for {reference}", evidence=told)
