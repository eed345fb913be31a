"""What each refusal of a registry says to a person."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from jacfn_knative.image.answers import Answer, explain
from jacfn_knative.image.credentials import Credentials, Found
from jacfn_knative.image.errors import (
    ImageNotFound,
    LoginFailed,
    LoginRequired,
    PushDenied,
    RegistryError,
    RegistryFault,
)
from jacfn_knative.image.reference import Reference

SHOP = Reference.parse("ghcr.io/ann/shop:1")
READ, WRITE, BASIC, TOKEN = False, True, True, False


@dataclass(frozen=True)
class Asker:
    """Somebody with or without a login."""

    found: Found
    evidence: str = "who"

    def failed(self, answer: str = "") -> LoginFailed:
        return LoginFailed("failed", evidence=answer)

    def required(self) -> LoginRequired:
        return LoginRequired("required")


ANN = Asker(Found(Credentials("ann", "s3cret"), "given"))
NOBODY = Asker(Found(None, "none"))


@pytest.mark.parametrize(
    ("status", "writing", "basic", "asker", "kind"),
    [
        (401, READ, BASIC, ANN, LoginFailed),
        (401, WRITE, BASIC, ANN, LoginFailed),
        (401, READ, BASIC, NOBODY, LoginRequired),
        (401, WRITE, TOKEN, NOBODY, LoginRequired),
        (401, READ, TOKEN, NOBODY, LoginRequired),
        (403, READ, TOKEN, NOBODY, LoginRequired),
        (401, WRITE, TOKEN, ANN, PushDenied),
        (403, WRITE, BASIC, ANN, PushDenied),
        (405, WRITE, TOKEN, ANN, PushDenied),
        (404, WRITE, TOKEN, ANN, PushDenied),
        (401, READ, TOKEN, ANN, ImageNotFound),
        (403, READ, BASIC, ANN, ImageNotFound),
        (404, READ, TOKEN, NOBODY, ImageNotFound),
        (429, READ, TOKEN, NOBODY, RegistryFault),
        (413, WRITE, TOKEN, ANN, RegistryFault),
        (500, WRITE, TOKEN, ANN, RegistryFault),
        (400, READ, TOKEN, ANN, RegistryFault),
    ],
)
def test_every_refusal_has_a_meaning(status: int, writing: bool, basic: bool, asker: Asker, kind: type[RegistryError]) -> None:
    assert type(explain(Answer(status, "", writing, basic), SHOP, asker)) is kind


def test_the_registry_s_own_words_are_evidence() -> None:
    assert (
        explain(Answer(404, "MANIFEST_UNKNOWN: manifest unknown", READ, TOKEN), SHOP, ANN).evidence
        == "HTTP 404 MANIFEST_UNKNOWN: manifest unknown"
    )


def test_a_repository_that_has_to_be_made_first_is_told_as_such() -> None:
    assert "no repository ann/shop" in explain(Answer(404, "", WRITE, TOKEN), SHOP, ANN).what


def test_a_proxy_that_refuses_large_content_is_told_as_such() -> None:
    assert "proxy" in explain(Answer(413, "", WRITE, TOKEN), SHOP, ANN).what
