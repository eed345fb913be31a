"""Registries that speak HTTPS: their certificate is checked, and nothing falls back to plain HTTP because of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.errors import RegistryUnreachable
from jacfn_knative.image.model import Image
from jacfn_knative.image.push import inspect, push

MakeImage = Callable[..., Image]


def test_a_certificate_of_an_unknown_authority_is_refused_with_the_way_to_trust_it(tls_registry: Any) -> None:
    with pytest.raises(RegistryUnreachable) as refused:
        inspect(f"{tls_registry.name}/shop:1")
    assert "SSL_CERT_FILE" in refused.value.next_step


def test_a_certificate_of_a_known_authority_will_do(
    tls_registry: Any, blobs: Blobs, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_registry.authority))
    pushed = push(make_image({"/a": b"a"}), f"{tls_registry.name}/shop:1", blobs=blobs)
    assert inspect(pushed.reference).reference == pushed.reference
