"""How people name images, and what is meant by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_knative.image.errors import BadReference
from jacfn_knative.image.reference import Reference, api_host, may_be_plain

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("ann/shop", "docker.io/ann/shop:latest"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("index.docker.io/ann/shop:1", "docker.io/ann/shop:1"),
        ("localhost/shop", "localhost/shop:latest"),
        ("localhost:5000/shop:1", "localhost:5000/shop:1"),
        ("10.201.0.1:5000/jacfn/runtime:dev", "10.201.0.1:5000/jacfn/runtime:dev"),
        ("[::1]:5000/shop", "[::1]:5000/shop:latest"),
        ("GHCR.io/ann/shop", "GHCR.io/ann/shop:latest"),
        (f"ghcr.io/ann/shop@{DIGEST}", f"ghcr.io/ann/shop@{DIGEST}"),
        (f"ghcr.io/ann/shop:1@{DIGEST}", f"ghcr.io/ann/shop:1@{DIGEST}"),
    ],
)
def test_short_names_mean_docker_hub_and_full_ones_themselves(text: str, meant: str) -> None:
    assert str(Reference.parse(text)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "@",
        "Shop",
        "ann/Shop",
        "shop:",
        "shop:a b",
        "shop@sha256:12",
        "shop@",
        "-shop",
        "a//b",
        "/shop",
        "shop/",
        "http://x/y",
        "a" * 300,
    ],
)
def test_what_is_no_reference_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(BadReference) as refused:
        Reference.parse(text)
    assert refused.value.next_step
    assert refused.value.exit_code == 2


names = st.from_regex(r"[a-z0-9]{1,9}([._-][a-z0-9]{1,9}){0,3}(/[a-z0-9]{1,9}(__[a-z0-9]{1,9})?){0,3}", fullmatch=True)
hosts = st.sampled_from(
    ["docker.io", "localhost", "localhost:5000", "10.0.0.1:5000", "ghcr.io", "[fd00::1]:443", "Registry.Example:1"]
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(hosts, names, tags, st.sampled_from(["", f"@{DIGEST}"]))
def test_what_a_reference_says_is_read_as_the_same_reference(host: str, name: str, tag: str, digest: str) -> None:
    reference = Reference.parse(f"{host}/{name}:{tag}{digest}")
    assert Reference.parse(str(reference)) == reference
    assert reference.registry == host
    assert reference.which == (DIGEST if digest else tag)


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except BadReference:
        return
    assert Reference.parse(str(reference)) == reference


def test_by_digest_the_tag_is_gone() -> None:
    assert str(Reference.parse("ghcr.io/ann/shop:1").at(DIGEST)) == f"ghcr.io/ann/shop@{DIGEST}"


def test_images_of_the_node_are_in_no_registry() -> None:
    assert Reference.parse("dev.local/shop:1").node_local
    assert Reference.parse("kind.local/shop:1").node_local
    assert not Reference.parse("shop:1").node_local


def test_docker_hub_answers_at_another_host_than_its_name() -> None:
    assert api_host("docker.io") == "registry-1.docker.io"
    assert api_host("ghcr.io") == "ghcr.io"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000",
        "127.9.9.9",
        "10.201.0.1:5000",
        "192.168.1.4",
        "172.16.0.1:80",
        "[::1]:5000",
        "[fd00::1]",
        "registry.local",
        "registry.localhost:5000",
    ],
)
def test_plain_http_will_do_on_loopback_and_private_addresses(host: str) -> None:
    assert may_be_plain(host)


@pytest.mark.parametrize(
    "host",
    ["docker.io", "ghcr.io:443", "8.8.8.8", "8.8.8.8:5000", "[2001:4860::8888]:5000", "local", "10.example.com", "172.32.0.1"],
)
def test_plain_http_is_never_spoken_to_the_outside(host: str) -> None:
    assert not may_be_plain(host)
