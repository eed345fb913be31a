"""Who we are at a registry: given logins, docker's configuration, its helpers."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from jacfn_knative.image.credentials import Credentials, Keychain, pull_secret

ANN = Credentials("ann", "s3cret")
AUTH = base64.b64encode(b"ann:s3cret").decode()


def keychain(folder: Path, configuration: object, **env: str) -> Keychain:
    (folder / "config.json").write_text(json.dumps(configuration))
    return Keychain.load({"DOCKER_CONFIG": str(folder), "XDG_RUNTIME_DIR": str(folder), **env})


def helper(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program `docker-credential-test` on the PATH."""
    program = folder / "docker-credential-test"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_nobody_is_logged_in_anywhere_at_first(tmp_path: Path) -> None:
    found = Keychain.load({"DOCKER_CONFIG": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}).find("ghcr.io")
    assert found.credentials is None
    assert str(tmp_path) in found.origin


@pytest.mark.parametrize("key", ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/", "ghcr.io/ann"])
def test_docker_login_left_a_login(tmp_path: Path, key: str) -> None:
    found = keychain(tmp_path, {"auths": {key: {"auth": AUTH}}}).find("ghcr.io")
    assert found.credentials == ANN
    assert "config.json" in found.origin


def test_docker_hub_has_a_name_of_its_own_there(tmp_path: Path) -> None:
    assert keychain(tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}).find("docker.io").credentials == ANN


def test_a_login_is_for_its_registry_and_port_only(tmp_path: Path) -> None:
    chain = keychain(tmp_path, {"auths": {"localhost:5000": {"auth": AUTH}}})
    assert chain.find("localhost:5001").credentials is None
    assert chain.find("docker.io").credentials is None


def test_podman_s_logins_count_too(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers" / "auth.json").write_text(json.dumps({"auths": {"quay.io": {"auth": AUTH}}}))
    assert keychain(tmp_path, {}).find("quay.io").credentials == ANN


def test_an_identity_token_takes_the_place_of_the_password(tmp_path: Path) -> None:
    found = keychain(
        tmp_path, {"auths": {"ghcr.io": {"auth": base64.b64encode(b"ann:").decode(), "identitytoken": "t0ken"}}}
    ).find("ghcr.io")
    assert found.credentials == Credentials("ann", "", "t0ken")


def test_docker_username_is_for_docker_hub_unless_it_is_given_for_another_registry(tmp_path: Path) -> None:
    chain = keychain(tmp_path, {}, DOCKER_USERNAME="ann", DOCKER_PASSWORD="s3cret")
    assert chain.find("docker.io").credentials == ANN
    assert chain.find("ghcr.io").credentials is None
    assert Keychain.load({}, {"ghcr.io": ANN}).find("ghcr.io").credentials == ANN


def test_a_given_login_wins_over_the_configuration(tmp_path: Path) -> None:
    chain = keychain(
        tmp_path, {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, DOCKER_USERNAME="bob", DOCKER_PASSWORD="x"
    )
    assert chain.find("docker.io").credentials == Credentials("bob", "x")


@pytest.mark.parametrize("setting", [{"credsStore": "test"}, {"credHelpers": {"ghcr.io": "test"}}])
def test_a_helper_is_asked_for_the_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: dict[str, object]) -> None:
    helper(tmp_path, monkeypatch, """read key; [ "$1 $key" = "get ghcr.io" ] && echo '{"Username": "ann", "Secret": "s3cret"}'""")
    found = keychain(tmp_path, setting).find("ghcr.io")
    assert found.credentials == ANN
    assert "docker-credential-test" in found.origin


def test_a_helper_may_give_an_identity_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper(tmp_path, monkeypatch, """echo '{"Username": "<token>", "Secret": "t0ken"}'""")
    assert keychain(tmp_path, {"credsStore": "test"}).find("ghcr.io").credentials == Credentials(identity_token="t0ken")


@pytest.mark.parametrize("script", ["echo credentials not found in native keychain; exit 1", "echo no json", "echo '{}'"])
def test_a_helper_that_knows_nothing_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    helper(tmp_path, monkeypatch, script)
    found = keychain(tmp_path, {"credsStore": "test"}).find("ghcr.io")
    assert found.credentials is None
    assert "docker-credential-test" in found.origin


def test_a_helper_that_is_not_installed_does_not_hide_other_logins(tmp_path: Path) -> None:
    chain = keychain(tmp_path, {"credsStore": "gone", "auths": {"ghcr.io": {"auth": AUTH}}})
    assert chain.find("ghcr.io").credentials == ANN
    assert "docker-credential-gone, which is not on the PATH" in chain.find("quay.io").origin


def test_a_helper_is_a_name_and_no_path(tmp_path: Path) -> None:
    assert "with a path" in keychain(tmp_path, {"credsStore": "../evil"}).find("ghcr.io").origin


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"auths": {"ghcr.io": "x"}}', '{"auths": {"ghcr.io": {"auth": "%%%"}}}', '{"auths": null}']
)
def test_a_broken_configuration_is_no_login(tmp_path: Path, content: str) -> None:
    chain = keychain(tmp_path, {})
    (tmp_path / "config.json").write_text(content)
    assert chain.find("ghcr.io").credentials is None


def test_passwords_show_nowhere() -> None:
    chain = Keychain({"ghcr.io": Credentials("ann", "s3cret", "t0ken")})
    shown = repr(chain) + repr(chain.given["ghcr.io"]) + repr(chain.find("ghcr.io"))
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_the_secret_for_nodes_is_what_docker_would_write(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(pull_secret("docker.io", ANN))
    assert Keychain.load({"DOCKER_CONFIG": str(tmp_path)}).find("docker.io").credentials == ANN
    (tmp_path / "config.json").write_text(pull_secret("ghcr.io", ANN))
    assert Keychain.load({"DOCKER_CONFIG": str(tmp_path)}).find("ghcr.io").credentials == ANN
