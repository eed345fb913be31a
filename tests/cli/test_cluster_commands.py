"""`jac start --scale --dry-run` and `jac destroy`: what they say before anything is written, and when they write nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.api_server import api_server
from jacfn_cli.deploy import say_addresses
from jacfn_cli.main import cli
from jacfn_cli.printer import Printer
from jacfn_knative.cluster import Address, Deployed, Row
from jacfn_runtime.program.catalog import Catalog, Endpoint

APP = {"jacfn.dev/app": "shop", "app.kubernetes.io/managed-by": "jacfn"}


def owned(name: str, **labels: str) -> dict[str, Any]:
    """An object of the app `shop`, of the project `shop`."""
    annotations = {"jacfn.dev/project": "shop"}
    return {"metadata": {"name": name, "namespace": "default", "labels": APP | labels, "annotations": annotations}}


def deployed() -> dict[str, list[dict[str, Any]]]:
    mongodb = {"app.kubernetes.io/component": "mongodb"}
    return {
        "/apis/serving.knative.dev/v1/namespaces/default/services": [owned("shop-w-abc123")],
        "/apis/apps/v1/namespaces/default/statefulsets": [owned("shop-mongodb", **mongodb)],
        "/api/v1/namespaces/default/persistentvolumeclaims": [owned("data-shop-mongodb-0", **mongodb)],
        "/api/v1/namespaces/default/pods": [],
    }


@pytest.fixture
def project(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory `shop`, with the document's program, and a kubeconfig beside it that the tests fill."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "main.jac").write_text(shop.read_text())
    (folder / "jac.toml").write_text('[project]\nname = "shop"')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    # The kubernetes package reads KUBECONFIG once a process, when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("APP_NAME", "shop")
    monkeypatch.setenv("JACFN_RUNTIME_IMAGE", "dev.local/runtime:1")
    for name in ("K8s_NAMESPACE", "MONGODB_URI", "REDIS_URL", "JACFN_WINDOW"):
        monkeypatch.delenv(name, raising=False)
    yield folder


def jac(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=typed)


def test_a_dry_run_says_where_and_what_and_writes_nothing(project: Path) -> None:
    with api_server(project.parent, {}) as server:
        result = jac("start", "--scale", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert server.writes == []
    said = result.stderr
    assert re.search(r"Context    desk\nServer     http://127\.0\.0\.1:\d+\nNamespace  default  \(default\)\n", said)
    assert "App        shop  (environment variable APP_NAME)\n" in said
    assert "Image      dev.local/runtime:1\n" in said
    assert re.search(r"Bundle     [0-9a-f]{12}: \d+ KiB: code\.bin, manifest\.json, src/main\.jac\n", said)
    assert re.search(r"Plan       \d+ to create\n", said)
    assert "ACTION  OBJECT" in result.stdout
    assert re.search(r"^create  ksvc/shop-create-item-", result.stdout, re.MULTILINE)


def test_what_has_no_effect_in_a_cluster_is_said(project: Path) -> None:
    with api_server(project.parent, {}):
        plain = jac("start", "--scale", "--dry-run")
        given = jac("start", "--scale", "--dry-run", "--port", "9000", "--session", "prod")
    assert (plain.exit_code, given.exit_code) == (0, 0)
    assert "no effect" not in plain.stderr
    assert "Warning: --port is where this machine listens" in given.stderr
    assert "Warning: --session names a file on this machine" in given.stderr


def test_destroy_lists_what_goes_and_without_a_terminal_or_yes_touches_nothing(project: Path) -> None:
    with api_server(project.parent, deployed()) as server:
        result = jac("destroy", "main.jac")
    assert result.exit_code == 2
    assert server.writes == []
    assert "ksvc/shop-w-abc123\n" in result.stdout
    assert "PersistentVolumeClaim/data-shop-mongodb-0\n" in result.stdout
    assert result.stderr.endswith(
        "Warning: the database and all its data go too; --keep-data would keep them\n"
        "Error: Nobody is here to confirm this; nothing was touched\n"
        "--yes goes ahead without asking.\n"
    )


@pytest.mark.parametrize(("typed", "code", "removed"), [("shop\n", 0, True), ("yes\n", 2, False), ("\n", 2, False)])
def test_destroy_goes_ahead_when_the_apps_name_is_typed_and_not_otherwise(
    project: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, removed: bool
) -> None:
    monkeypatch.setattr(Printer, "interactive", True)
    with api_server(project.parent, deployed()) as server:
        result = jac("destroy", "main.jac", typed=typed)
    assert (result.exit_code, bool(server.writes)) == (code, removed)
    assert "Type the app's name to remove it (shop): " in result.stderr


def test_destroy_with_yes_removes_everything_and_waits(project: Path) -> None:
    with api_server(project.parent, deployed()) as server:
        result = jac("destroy", "main.jac", "--yes")
        assert result.exit_code == 0, result.stderr
        assert len(server.writes) == 3
        assert result.stderr.endswith("3 objects removed.\n")
        again = jac("destroy", "main.jac", "--yes")
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (0, "There is nothing of the app shop in namespace default.")


def test_destroy_keeps_the_database_if_told_to(project: Path) -> None:
    with api_server(project.parent, deployed()) as server:
        result = jac("destroy", "main.jac", "--yes", "--keep-data")
    assert result.exit_code == 0, result.stderr
    assert [write.rpartition("/")[2] for write in server.writes] == ["shop-w-abc123"]
    assert "Warning: the database" not in result.stderr


@pytest.mark.parametrize("command", [("destroy", "main.jac", "--yes"), ("start", "--scale")])
def test_an_app_of_another_project_is_left_alone_and_both_are_named(project: Path, command: tuple[str, ...]) -> None:
    (project / "jac.toml").write_text('[project]\nname = "other"')
    with api_server(project.parent, deployed()) as server:
        result = jac(*command)
    assert result.exit_code == 1
    assert server.writes == []
    assert "belongs to another project: 'shop', and this is 'other'" in result.stderr


@pytest.mark.parametrize("command", [("destroy", "main.jac", "--yes"), ("start", "--scale")])
def test_a_project_whose_name_is_not_set_is_not_taken_for_an_unnamed_one(project: Path, command: tuple[str, ...]) -> None:
    (project / "jac.toml").write_text('[project]\nname = "${GONE}"')
    with api_server(project.parent, {}) as server:
        result = jac(*command)
    assert (result.exit_code, server.writes) == (2, [])
    assert "The environment variable GONE is not set\n  jac.toml: [project] name asks for it\n" in result.stderr


def test_settings_that_cannot_be_are_found_before_an_image_is_made_or_the_cluster_asked(project: Path) -> None:
    (project / "jac.toml").write_text('[project]\nname = "shop"\n[plugins.scale.functions.get_items]\nwindow = "2s"\n')
    for more in ((), ("--build", "--registry", "dev.local")):
        result = jac("start", "--scale", *more)
        assert result.exit_code == 2
        assert "Error: walker/get_items: window = 2 is not between 6 and 3600" in result.stderr
        assert "Context" not in result.stderr and "image" not in result.stderr


def test_a_context_that_does_not_exist_is_refused_with_those_that_do(project: Path) -> None:
    with api_server(project.parent, {}):
        result = jac("start", "--scale", "--context", "prod")
    assert (result.exit_code, "has no context 'prod'\n  It has: desk.\n" in result.stderr) == (1, True)


CATALOG = Catalog(
    entry="main.jac",
    endpoints=(Endpoint(kind="walker", name="w", access="pub", parameters=(), schema={}, module="m", file="main.jac", line=1),),
)


def test_a_deploy_ends_with_the_table_of_urls(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (
        Row("walker/w", True, "shop-w-abc123", "http://shop-w-abc123.default.example.com", "", True),
        Row("gateway", True, "shop", "http://shop.default.example.com", "", True),
    )
    say_addresses(Deployed("knative", rows, (Address("http://localhost:30001", True),)), CATALOG, Printer())
    assert capsys.readouterr() == (
        "ENDPOINT        ACCESS  PARAMETERS  SOURCE      URL\n"
        "POST /walker/w  public  -           main.jac:1  http://shop-w-abc123.default.example.com\n",
        "Gateway    http://shop.default.example.com\nAPI        http://localhost:30001\nDocs       http://localhost:30001/docs\n",
    )


def test_without_knative_every_endpoint_is_below_the_one_address(capsys: pytest.CaptureFixture[str]) -> None:
    found = Deployed(
        "deployment", (), (Address("http://localhost:30001", None, "not reachable from here"),), notes=("Mind this.",)
    )
    say_addresses(found, CATALOG, Printer())
    said = capsys.readouterr()
    assert said.out.endswith("main.jac:1  http://localhost:30001/walker/w\n")
    assert said.err.startswith("API        http://localhost:30001  (not reachable from here)\n")
    assert said.err.endswith("Warning: Mind this.\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "--target", "local"), "--target needs --scale"),
        (("start", "--context", "x"), "--context needs --scale"),
        (("start", "--dry-run"), "--dry-run needs --scale"),
        (("start", "--scale", "--registry", "r"), "--registry needs --build"),
        (("start", "--scale", "--build", "--dry-run"), "--dry-run writes nothing, and --build would have to push an image first"),
    ],
)
def test_options_that_contradict_each_other_are_refused(project: Path, arguments: tuple[str, ...], said: str) -> None:
    result = jac(*arguments)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {said}")
