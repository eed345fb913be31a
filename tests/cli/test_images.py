"""What --build makes and where it puts it, against real registries on loopback; and what it refuses before it builds anything."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.api_server import GROUPS, ApiServer, api_server
from jacfn_cli.images import app_image
from jacfn_cli.main import cli
from jacfn_cli.own_image import Build, push_own, save_own
from jacfn_cli.settings import Settings, read_settings
from jacfn_knative.errors import ImageError
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.errors import ImageMismatch, PlatformMissing
from jacfn_knative.image.fit import JACFN, JACLANG, LIBC, PACKAGES, PYTHON
from jacfn_knative.image.push import inspect, push_index
from jacfn_knative.report import Event, silent
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.bundle import build_bundle
from jacfn_runtime.program.manifest import Manifest
from knative.image.conftest import (
    PASSWORD,
    MakeImage,
    TokenRegistry,
    locked_registry,
    make_image,
    make_layer,
    registry,
    registry_binary,
    token_registry,
)

__all__ = ["locked_registry", "make_image", "make_layer", "registry", "registry_binary", "token_registry"]  # fixtures
Bundle = tuple[Path, Manifest]
BOTH = ("linux/amd64", "linux/arm64")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("program")
    (folder / "main.jac").write_text("walker:pub hello { }")
    return folder / "bundle", build_bundle(folder / "main.jac", folder / "bundle")


@pytest.fixture(autouse=True)
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    """An empty cache, for this test alone."""
    monkeypatch.setenv("JACFN_CACHE", str(tmp_path / "cache"))
    return Blobs.default()


@pytest.fixture
def runtime(registry: str, make_image: MakeImage, blobs: Blobs, bundle: Bundle, tmp_path: Path) -> Callable[..., str]:
    """Pushes what passes for a runtime image, for these platforms."""

    def make(*platforms: str, jacfn: str = metadata.version("jacfn")) -> str:
        versions = {JACFN: jacfn, JACLANG: bundle[1].jaclang, PYTHON: bundle[1].python, LIBC: "glibc-2.36", PACKAGES: ""}
        images = [make_image({"/a": b"a"}, architecture=each.partition("/")[2], labels=versions) for each in platforms]
        return push_index(images, f"{registry}/{tmp_path.name}/runtime:1", blobs=blobs).reference

    return make


def settings(folder: Path, runtime: str = "", registry: str = "", **env: str) -> Settings:
    """The settings of a project in `folder`, for the app `shop`."""
    flags = {"plugins.scale.knative.runtime_image": runtime, "plugins.scale.knative.registry": registry}
    return read_settings(folder, {"APP_NAME": "shop", **env}, flags=flags)


def archived(path: str) -> tuple[Any, Any]:
    """The one entry of an archive's manifest.json, and the image's configuration."""
    with tarfile.open(path) as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        return entry, json.load(tar.extractfile(entry["Config"]))  # type: ignore[arg-type]


def test_an_image_is_made_for_every_platform_of_the_nodes(
    runtime: Callable[..., str], registry: str, bundle: Bundle, tmp_path: Path
) -> None:
    told = settings(tmp_path, runtime(*BOTH), f"{registry}/{tmp_path.name}")
    image, folder = app_image(told, *bundle, Build(), BOTH, silent)
    assert inspect(image.reference).platforms == BOTH
    assert (folder, image.credentials) == ("/app/bundle", None)
    again, _ = app_image(told, *bundle, Build(), BOTH, silent)
    assert again == image


def test_platform_is_for_those_who_may_not_see_the_nodes(
    runtime: Callable[..., str], registry: str, bundle: Bundle, tmp_path: Path
) -> None:
    told = settings(tmp_path, runtime(*BOTH), f"{registry}/{tmp_path.name}")
    assert inspect(push_own(told, *bundle, Build(platforms=("linux/arm64/v8",)), (), silent)).platform == "linux/arm64"


def test_where_nobody_says_what_the_nodes_are_this_machine_s_platform_is_taken_with_a_warning(
    runtime: Callable[..., str], registry: str, bundle: Bundle, tmp_path: Path
) -> None:
    events: list[Event] = []
    push_own(settings(tmp_path, runtime(*BOTH), f"{registry}/{tmp_path.name}"), *bundle, Build(), (), events.append)
    (warning,) = (event for event in events if event.step == "warning")
    assert "--platform" in warning.text


def test_a_platform_that_leaves_nodes_out_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    told = settings(tmp_path, "runtime", "localhost:1/me")
    with pytest.raises(SettingsError, match="linux/arm64 is not enough") as refused:
        push_own(told, *bundle, Build(platforms=("linux/arm64",)), BOTH, silent)
    assert "nodes of linux/amd64" in refused.value.evidence


def test_a_base_of_another_jacfn_or_platform_is_refused_before_anything_is_sent(
    runtime: Callable[..., str], registry: str, bundle: Bundle, tmp_path: Path
) -> None:
    place = f"{registry}/{tmp_path.name}"
    with pytest.raises(ImageMismatch, match="does not fit") as refused:
        push_own(settings(tmp_path, runtime(*BOTH, jacfn="0.0.1"), place), *bundle, Build(), BOTH, silent)
    assert "jacfn: the image has 0.0.1" in refused.value.evidence
    with pytest.raises(PlatformMissing, match="not there for linux/arm64"):
        push_own(settings(tmp_path, runtime("linux/amd64"), place), *bundle, Build(), BOTH, silent)
    with pytest.raises(ImageError, match="There is no image"):
        inspect(f"{place}/shop:{bundle[1].hash[:12]}")


def test_nodes_get_the_login_where_they_cannot_pull_without_one(
    runtime: Callable[..., str], locked_registry: str, bundle: Bundle, tmp_path: Path
) -> None:
    login = {"DOCKER_USERNAME": "ann", "DOCKER_PASSWORD": PASSWORD}
    told = settings(tmp_path, runtime("linux/amd64"), f"{locked_registry}/{tmp_path.name}", **login)
    image, _ = app_image(told, *bundle, Build(), ("linux/amd64",), silent)
    assert image.credentials is not None
    assert (image.credentials.registry, image.credentials.username) == (locked_registry, "ann")
    assert PASSWORD not in repr(image)


# Without a registry


def test_an_archive_is_named_by_its_content_and_the_deploy_that_follows_finds_that_name(
    runtime: Callable[..., str], bundle: Bundle, tmp_path: Path
) -> None:
    base, archive = runtime("linux/amd64"), tmp_path / "image.tar"
    nodes = ("linux/amd64",)
    name = save_own(settings(tmp_path, base), *bundle, Build(output=archive), archive, nodes, silent)
    entry, config = archived(str(archive))
    assert entry["RepoTags"] == [name]
    assert name.startswith("dev.local/shop:")
    assert "JACFN_BUNDLE=/app/bundle" in config["config"]["Env"]
    image, folder = app_image(settings(tmp_path, base, "dev.local"), *bundle, Build(), nodes, silent)
    assert (image.reference, folder, image.credentials) == (name, "/app/bundle", None)


def test_an_archive_has_one_platform(bundle: Bundle, tmp_path: Path) -> None:
    told = settings(tmp_path, "runtime")
    with pytest.raises(SettingsError, match="has one platform"):
        save_own(told, *bundle, Build(output=tmp_path / "image.tar"), tmp_path / "image.tar", BOTH, silent)


# With docker


def test_docker_makes_the_base_and_gets_the_login_for_the_push_in_a_file_that_goes_away(
    locked_registry: str, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n[ "$1" = push ] && cp "$DOCKER_CONFIG/config.json" {tmp_path}/login\nexit 0\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    (tmp_path / "Dockerfile").write_text("FROM runtime")
    told = settings(tmp_path, "", f"{locked_registry}/{tmp_path.name}", DOCKER_USERNAME="ann", DOCKER_PASSWORD=PASSWORD)
    name = f"{locked_registry}/{tmp_path.name}/shop:base-linux-amd64"
    with pytest.raises(ImageError, match=r"There is no image .*base-linux-amd64"):  # this docker pushes nothing
        push_own(told, *bundle, Build(builder="docker"), ("linux/amd64",), silent)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == [f"build --platform linux/amd64 --tag {name} {tmp_path}", f"push {name}"]
    login = json.loads((tmp_path / "login").read_text())["auths"][locked_registry]
    assert (login["username"], login["password"]) == ("ann", PASSWORD)


def test_the_bundle_is_laid_on_what_docker_made(
    runtime: Callable[..., str], registry: str, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = runtime("linux/amd64")

    def pushed(folder: Path, reference: str, *_: object) -> str:
        assert (folder, reference) == (tmp_path, f"{registry}/{tmp_path.name}/shop:base-linux-amd64")
        return base

    monkeypatch.setattr("jacfn_knative.image.docker.docker_build", pushed)
    told = settings(tmp_path, "", f"{registry}/{tmp_path.name}")
    found = inspect(push_own(told, *bundle, Build(builder="docker"), ("linux/amd64",), silent))
    assert found.labels["org.opencontainers.image.title"] == "jacfn app"


# The command


@pytest.fixture
def project(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the shop in it and a kubeconfig beside it that `api_server` writes."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "main.jac").write_text(shop.read_text())
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("APP_NAME", "shop")
    for name in ("K8s_NAMESPACE", "DOCKER_USERNAME", "DOCKER_PASSWORD", "JACFN_RUNTIME_IMAGE", "JACFN_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def jac(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ("start", "--scale", *arguments))


def refused(project: Path, *arguments: str, server: type[ApiServer]) -> str:
    """What the command says, after checking that it built nothing and wrote nothing."""
    result = jac("--build", *arguments)
    assert result.exit_code == 1, result.stderr
    assert server.writes == []
    assert not (project / ".jac").exists()
    return result.stderr


def test_who_may_not_push_is_told_why_before_anything_is_built(
    project: Path, locked_registry: str, token_registry: TokenRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_server(project.parent, {}) as server:
        assert f"docker login {locked_registry}" in refused(project, "--registry", f"{locked_registry}/me", server=server)
        monkeypatch.setenv("DOCKER_USERNAME", "bob")
        monkeypatch.setenv("DOCKER_PASSWORD", PASSWORD)
        said = refused(project, "--registry", f"{token_registry.name}/team", server=server)
        assert f"Error: {token_registry.name} does not let this login push to team/shop\n" in said
        monkeypatch.setenv("DOCKER_PASSWORD", "wr0ng-word")
        for name in (locked_registry, token_registry.name):
            said = refused(project, "--registry", f"{name}/team", server=server)
            assert f"Error: {name} does not accept the user name or password\n" in said
            assert "wr0ng-word" not in said


def test_an_archive_is_written_without_a_cluster_when_its_platform_is_told_and_the_next_command_is_said(
    project: Path, runtime: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JACFN_RUNTIME_IMAGE", runtime(*BOTH))
    result = jac("--build", "--output", "../image.tar", "--platform", "linux/arm64")
    assert result.exit_code == 0, result.stderr
    entry, config = archived("../image.tar")
    assert (entry["RepoTags"], config["architecture"]) == ([result.stdout.strip()], "arm64")
    assert "jac start --scale --build --registry dev.local --platform linux/arm64\n" in result.stderr


def test_an_archive_is_for_the_cluster_s_linux_nodes_if_nothing_else_is_told(
    project: Path, runtime: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JACFN_RUNTIME_IMAGE", runtime(*BOTH))
    kinds = (("linux", "arm64"), ("windows", "amd64"))
    nodes = [{"status": {"nodeInfo": {"operatingSystem": system, "architecture": cpu}}} for system, cpu in kinds]
    monkeypatch.setitem(GROUPS, "/api/v1/nodes", {"items": nodes})
    with api_server(project.parent, {}) as server:
        result = jac("--build", "--output", "../image.tar")
    assert result.exit_code == 0, result.stderr
    assert archived("../image.tar")[1]["architecture"] == "arm64"
    assert server.writes == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--platform", "linux/arm64"), "--platform needs --build"),
        (("--builder", "docker"), "--builder needs --build"),
        (("--output", "image.tar"), "--output needs --build"),
        (
            ("--build", "--output", "image.tar", "--registry", "r"),
            "--output is for a cluster without a registry, and --registry names one",
        ),
        (
            ("--build", "--output", "image.tar", "--builder", "docker"),
            "--builder docker hands its image over through a registry, and here is none",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(project: Path, arguments: tuple[str, ...], said: str) -> None:
    result = jac(*arguments)
    assert result.exit_code == 2
    assert f"Error: {said}\n" in result.stderr
    assert not (project / ".jac").exists()


def test_a_platform_that_is_none_is_refused(project: Path) -> None:
    result = jac("--build", "--output", "image.tar", "--platform", "arm")
    assert (result.exit_code, "'arm' is no platform" in result.stderr) == (2, True)
    assert not (project / ".jac").exists()


def test_a_folder_that_is_not_there_is_told_before_anything_is_built(project: Path) -> None:
    result = jac("--build", "--output", "nowhere/image.tar", "--platform", "linux/amd64")
    assert (result.exit_code, "There is no folder nowhere" in result.stderr) == (2, True)
    assert not (project / ".jac").exists()


# jacfn image runtime


def test_the_runtime_image_s_push_right_is_asked_before_it_is_built(
    project: Path, locked_registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_USERNAME", "ann")
    monkeypatch.setenv("DOCKER_PASSWORD", "wr0ng-word")
    command = ("image", "runtime", "--base", "127.0.0.1:1/none:1", "--push", f"{locked_registry}/me/runtime:1")
    result = CliRunner().invoke(cli, command)
    assert (result.exit_code, result.stderr.startswith(f"Error: {locked_registry} does not accept")) == (1, True)


def test_a_runtime_image_of_several_platforms_is_for_a_registry(project: Path) -> None:
    platforms = ("--platform", "linux/amd64", "--platform", "linux/arm64")
    result = CliRunner().invoke(cli, ("image", "runtime", "--output", "image.tar", *platforms))
    assert (result.exit_code, "An archive has one platform" in result.stderr) == (2, True)
