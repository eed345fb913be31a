"""Names: valid, short, stable, injective."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jacfn_knative import names
from jacfn_knative.errors import InvalidApp, NameCollision

IDENTITIES = st.builds("{}/{}".format, st.sampled_from(["walker", "function", "group"]), st.text(min_size=1, max_size=80))
DNS_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"


@given(st.text(max_size=60), IDENTITIES)
def test_every_name_is_a_dns_label_of_at_most_45_characters(app: str, identity: str) -> None:
    name = names.service_name(app, identity)
    assert re.fullmatch(DNS_1035, name)
    assert len(name) <= names.SERVICE_MAX


@given(st.text(max_size=60), st.lists(IDENTITIES, unique=True, max_size=30))
def test_different_endpoints_have_different_names(app: str, identities: list[str]) -> None:
    found = names.service_names(app, identities)
    assert list(found) == identities
    assert len(set(found.values())) == len(identities)


def test_a_name_never_changes() -> None:
    assert names.service_name("shop", "walker/create_item") == "shop-create-item-xu74ud"
    assert names.service_name("my-production-app", "function/Über_größe") == "my-production-a-uber-groe-b7v3yf"


def test_names_that_look_alike_are_told_apart_by_their_hash() -> None:
    found = names.service_names("shop", ["walker/a_b", "walker/a__b", "walker/A_b", "function/a_b"])
    assert len(set(found.values())) == 4
    assert {name[: len("shop-a-b-")] for name in found.values()} == {"shop-a-b-"}


def test_two_apps_with_the_same_beginning_do_not_share_a_name() -> None:
    first, second = (names.service_name(app, "walker/x") for app in ("my-production-app-one", "my-production-app-two"))
    assert first != second


def test_two_endpoints_that_would_get_one_name_are_refused_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "HASH_LENGTH", 0)
    with pytest.raises(NameCollision) as refused:
        names.service_names("shop", ["walker/a_b", "walker/a__b"])
    assert "walker/a_b" in refused.value.what and "walker/a__b" in refused.value.what


@pytest.mark.parametrize("name", ["a", "shop", "my-app-2", "a" * names.APP_MAX])
def test_a_dns_label_can_be_an_apps_name(name: str) -> None:
    names.check_app_name(name)


@pytest.mark.parametrize("name", ["", "My App", "my_app", "2nd", "-a", "a-", "a.b", "a" * (names.APP_MAX + 1), "ä", "a\n"])
def test_anything_else_is_refused_with_a_name_that_would_do(name: str) -> None:
    with pytest.raises(InvalidApp) as refused:
        names.check_app_name(name)
    assert refused.value.exit_code == 2
    suggestion = re.search(r"app_name = '([^']*)'", refused.value.next_step)
    assert suggestion
    names.check_app_name(suggestion[1])


@given(st.text(max_size=80), st.integers(1, 40))
def test_a_slug_is_always_a_valid_name(text: str, limit: int) -> None:
    assert re.fullmatch(DNS_1035, names.slug(text, limit)) and len(names.slug(text, limit)) <= limit


@pytest.mark.parametrize("name", ["", "Default", "a_b", "-a", "a" * 64, "kube.system"])
def test_an_impossible_namespace_is_refused(name: str) -> None:
    with pytest.raises(InvalidApp, match="cannot be a namespace"):
        names.check_namespace(name)


@pytest.mark.parametrize("name", ["default", "9lives", "a" * 63])
def test_a_possible_namespace_is_accepted(name: str) -> None:
    names.check_namespace(name)
