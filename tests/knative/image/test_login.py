"""Registries that want to know who asks: Basic logins and token services, and what each refusal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.credentials import ANONYMOUS, Credentials, Keychain
from jacfn_knative.image.errors import ImageNotFound, LoginFailed, LoginRequired, PushDenied, RegistryError, RegistryFault
from jacfn_knative.image.model import Image, Process, extend
from jacfn_knative.image.push import anonymous_pull_works, check_push, inspect, push, read_image

MakeImage = Callable[..., Image]
Ann = Callable[[str], Keychain]


def told(error: RegistryError) -> str:
    return str(error)


def test_a_basic_login_pushes_and_pulls(locked_registry: str, blobs: Blobs, make_image: MakeImage, ann: Ann) -> None:
    pushed = push(make_image({"/a": b"a"}), f"{locked_registry}/basic:1", ann(locked_registry), blobs)
    assert inspect(pushed.reference, ann(locked_registry)).reference == pushed.reference
    assert not anonymous_pull_works(pushed.reference)


def test_a_wrong_password_is_told_as_such(locked_registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    wrong = Keychain({locked_registry: Credentials("ann", "wr0ng-word")})
    with pytest.raises(LoginFailed, match="does not accept the user name or password") as refused:
        push(make_image({"/a": b"a"}), f"{locked_registry}/wrong:1", wrong, blobs)
    assert "'ann'" in refused.value.evidence
    assert "wr0ng-word" not in told(refused.value)
    with pytest.raises(LoginFailed):
        inspect(f"{locked_registry}/wrong:1", wrong)


def test_whether_a_push_is_let_in_is_known_before_anything_is_built(locked_registry: str, token_registry: Any, ann: Ann) -> None:
    check_push(f"{locked_registry}/early:1", ann(locked_registry))
    check_push(f"{token_registry.name}/team/early:1", ann(token_registry.name))
    with pytest.raises(LoginFailed):
        check_push(f"{locked_registry}/early:1", Keychain({locked_registry: Credentials("ann", "wr0ng-word")}))
    with pytest.raises(PushDenied):
        check_push(f"{token_registry.name}/team/early:1", Keychain({token_registry.name: Credentials("bob", "s3cret-word")}))
    with pytest.raises(LoginRequired):
        check_push(f"{locked_registry}/early:1")
    with pytest.raises(ImageNotFound):
        inspect(f"{locked_registry}/early:1", ann(locked_registry))  # nothing was left there


def test_a_missing_login_is_told_with_the_way_to_one(locked_registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    with pytest.raises(LoginRequired) as refused:
        push(make_image({"/a": b"a"}), f"{locked_registry}/nobody:1", ANONYMOUS, blobs)
    assert f"docker login {locked_registry}" in refused.value.next_step
    with pytest.raises(LoginRequired):
        inspect(f"{locked_registry}/nobody:1")


def test_a_token_service_is_asked_for_what_is_needed(token_registry: Any, blobs: Blobs, make_image: MakeImage, ann: Ann) -> None:
    name = token_registry.name
    del token_registry.asked[:]
    pushed = push(make_image({"/a": b"a"}), f"{name}/team/tokens:1", ann(name), blobs)
    assert token_registry.asked == [{"service": ["registry"], "scope": ["repository:team/tokens:pull,push"]}]
    assert inspect(pushed.reference, Keychain({name: Credentials("bob", "s3cret-word")})).reference == pushed.reference
    assert not anonymous_pull_works(pushed.reference)


def test_what_is_public_is_pulled_without_a_login(token_registry: Any, blobs: Blobs, make_image: MakeImage, ann: Ann) -> None:
    pushed = push(make_image({"/a": b"a"}), f"{token_registry.name}/public/shop:1", ann(token_registry.name), blobs)
    assert anonymous_pull_works(pushed.reference)
    assert inspect(pushed.reference).reference == pushed.reference


def test_a_wrong_password_at_the_token_service_is_told_as_such(token_registry: Any, blobs: Blobs, make_image: MakeImage) -> None:
    with pytest.raises(LoginFailed) as refused:
        push(
            make_image({"/a": b"a"}),
            f"{token_registry.name}/team/x:1",
            Keychain({token_registry.name: Credentials("ann", "wr0ng-word")}),
            blobs,
        )
    assert "wr0ng-word" not in told(refused.value)


def test_a_missing_right_to_push_is_not_a_wrong_password(token_registry: Any, blobs: Blobs, make_image: MakeImage) -> None:
    bob = Keychain({token_registry.name: Credentials("bob", "s3cret-word")})
    with pytest.raises(PushDenied, match="does not let this login push to team/x") as refused:
        push(make_image({"/a": b"a"}), f"{token_registry.name}/team/x:1", bob, blobs)
    assert "'bob'" in refused.value.evidence


def test_pushing_without_a_login_says_that_one_is_wanted(token_registry: Any, blobs: Blobs, make_image: MakeImage) -> None:
    with pytest.raises(LoginRequired):
        push(make_image({"/a": b"a"}), f"{token_registry.name}/public/x:1", ANONYMOUS, blobs)


def test_a_password_is_not_sent_to_a_token_service_over_plain_http(ann: Ann) -> None:
    import httpx2

    from jacfn_knative.image.login import Login

    with httpx2.Client() as client, pytest.raises(RegistryFault, match="no token service that can be trusted"):
        Login("ghcr.io", ann("ghcr.io"), client).answer('Bearer realm="http://evil.example.com/token"', ("repository:a:pull",))


def test_an_image_that_is_private_or_missing_is_told_as_both(token_registry: Any) -> None:
    with pytest.raises(LoginRequired, match=r"does not exist, or .* shows it only after a login"):
        inspect(f"{token_registry.name}/team/secret:1")


def test_an_image_that_is_missing_for_somebody_who_may_see_it(token_registry: Any, ann: Ann) -> None:
    with pytest.raises(ImageNotFound):
        inspect(f"{token_registry.name}/team/missing:1", ann(token_registry.name))


def test_an_identity_token_is_exchanged(token_registry: Any, blobs: Blobs, make_image: MakeImage) -> None:
    name = token_registry.name
    del token_registry.asked[:]
    push(make_image({"/a": b"a"}), f"{name}/team/identity:1", Keychain({name: Credentials(identity_token="refresh-me")}), blobs)
    assert token_registry.asked[0]["grant_type"] == ["refresh_token"]
    with pytest.raises(LoginFailed):
        push(make_image({"/b": b"b"}), f"{name}/team/identity:1", Keychain({name: Credentials(identity_token="revoked")}), blobs)


def test_taking_a_blob_over_asks_for_both_repositories(
    token_registry: Any, blobs: Blobs, make_image: MakeImage, ann: Ann
) -> None:
    import json

    name = token_registry.name
    push(make_image({"/base": b"base"}), f"{name}/team/base:1", ann(name), blobs)
    base = read_image(f"{name}/team/base:1", keychain=ann(name), blobs=blobs)
    app = extend(json.loads(base.config), base.layers, (), Process(environment={"A": "1"}), {})
    del token_registry.asked[:]
    assert push(app, f"{name}/team/app:1", ann(name), blobs).sent == 1
    assert {
        "service": ["registry"],
        "scope": ["repository:team/app:pull,push", "repository:team/base:pull"],
    } in token_registry.asked
