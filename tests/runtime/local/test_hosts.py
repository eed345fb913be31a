"""Which service a request is for."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from jacfn_runtime.local.hosts import direct, direct_url, hosts, service_of

NAMES = st.from_regex(r"(walker|function)/[A-Za-z_][A-Za-z0-9_]{0,70}", fullmatch=True)


def test_an_endpoints_host_is_its_name_below_the_app() -> None:
    assert hosts("shop", ["walker/create_item"]) == {"walker/create_item": "create-item.shop.localhost"}


@given(st.text(max_size=80), st.sets(NAMES, max_size=12))
def test_hosts_are_injective_and_valid(app: str, endpoints: set[str]) -> None:
    found = hosts(app, endpoints)
    assert len(set(found.values())) == len(endpoints)
    for host in found.values():
        assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", label) for label in host.split("."))


def test_the_path_decides_before_the_host() -> None:
    endpoints, by_host = ("walker/a", "walker/b"), {"a.shop.localhost": "walker/a"}
    assert service_of("/walker/b", "a.shop.localhost", endpoints, by_host) == "walker/b"
    assert service_of("/", "A.Shop.localhost:80", endpoints, by_host) == "walker/a"
    assert service_of("/walker", "other", endpoints, by_host) == "gateway"


@given(NAMES, st.sampled_from(["/", "//walker/x", "/walker/a/0123"]))
def test_what_the_gateway_forwards_reaches_the_endpoint_and_never_the_gateway(endpoint: str, path: str) -> None:
    url = direct_url("http://127.0.0.1:1", endpoint)
    assert direct(f"{url.removeprefix('http://127.0.0.1:1')}{path}".encode()) == (endpoint, path.encode())
    assert direct(path.encode()) == ("", path.encode())
