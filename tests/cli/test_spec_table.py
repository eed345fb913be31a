"""The jac-scale document's tables, row by row: each default, and what setting it does. `--port`, `--session` and `--main` at work
are in test_start.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from jacfn_cli.commands import start
from jacfn_cli.describe import describe
from jacfn_cli.environment import environment, store_path
from jacfn_cli.here import address
from jacfn_cli.main import cli
from jacfn_cli.settings import Settings, read_settings
from jacfn_knative.app import App, Bundle, Image
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.manifests import objects
from jacfn_runtime.program.catalog import Catalog, Endpoint

CATALOG = Catalog(
    entry="main.jac",
    endpoints=(
        Endpoint(kind="walker", name="w", access="pub", parameters=(), schema={}, module="main", file="main.jac", line=1),
    ),
)
ENDPOINTS = (
    "ENDPOINT                        ACCESS  PARAMETERS               SOURCE\n"
    "POST /function/admin_action     login   -                        main.jac:24\n"
    "POST /function/calculate_total  login   items: list[float]       main.jac:28\n"
    "POST /walker/create_item        login   name: str, price: float  main.jac:13\n"
    "POST /walker/get_items          public  -                        main.jac:7\n"
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings and no cluster of the person who runs the tests."""
    for name in (
        "APP_NAME",
        "K8s_NAMESPACE",
        "JACFN_RUNTIME_IMAGE",
        "DOCKER_USERNAME",
        "DOCKER_PASSWORD",
        "MONGODB_URI",
        "REDIS_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.fixture
def project(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the document's main.jac."""
    (tmp_path / "main.jac").write_text(shop.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jac(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


# `jac start [filename.jac] [options]`


def option(name: str) -> click.Option:
    found = next(parameter for parameter in start.command.params if name in parameter.opts)
    assert isinstance(found, click.Option)
    return found


@pytest.mark.parametrize(
    ("name", "in_help"),
    [
        ("--port", "[default: 8000]"),
        ("--session", '[default: ""]'),
        ("--main", "[default: main]"),
        ("--faux", ""),
        ("--scale", ""),
        ("--build", ""),
    ],
)
def test_every_option_of_the_documents_table_exists_and_says_its_default(name: str, in_help: str) -> None:
    assert in_help in (option(name).help or "")


def test_the_documents_flags_are_off_by_default() -> None:
    given = start.command.make_context("start", []).params
    assert [given[name] for name in ("faux", "scale", "build")] == [False, False, False]


def test_port_is_8000_unless_said_otherwise(tmp_path: Path) -> None:
    assert address(read_settings(tmp_path, {})) == "http://localhost:8000"
    assert address(read_settings(tmp_path, {}, flags={"serve.port": 3000})) == "http://localhost:3000"
    (tmp_path / "jac.toml").write_text("[plugins.scale.server]\nport = 9000")
    assert address(read_settings(tmp_path, {})) == "http://localhost:9000"
    (tmp_path / "jac.toml").write_text("[serve]\nport = 9001\n[plugins.scale.server]\nport = 9000")
    assert address(read_settings(tmp_path, {})) == "http://localhost:9001"


def test_session_names_the_file_of_the_graph(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {})
    assert settings.serve.session == ""
    assert store_path(settings, "") == tmp_path / ".jac" / "data" / "anchor_store.db"
    assert store_path(settings, "prod") == tmp_path / ".jac" / "data" / "prod.db"


@pytest.mark.parametrize("session", ["../up", "a/b", "", ".hidden", "x" * 200])
def test_a_session_that_is_no_file_name_is_refused(session: str, project: Path) -> None:
    if session:
        assert "cannot be" in jac("start", "--session", session, "--port", "1").stderr


def test_main_is_on_by_default_and_reaches_the_process(tmp_path: Path) -> None:
    settings = read_settings(tmp_path, {})
    assert settings.serve.main is True
    for run_main, value in ((True, "1"), (False, "0")):
        assert environment(settings, tmp_path, "", run_main)["JACFN_MAIN"] == value


def test_without_a_filename_it_is_main_jac_or_jac_tomls_entry_point(project: Path) -> None:
    assert jac("start", "--faux").stdout == ENDPOINTS
    (project / "main.jac").rename(project / "app.jac")
    missing = jac("start", "--faux")
    assert (missing.exit_code, missing.stderr) == (1, f"Error: There is no main.jac in {project}\nDid you mean `app.jac`?\n")
    (project / "jac.toml").write_text('[project]\nentry-point = "app.jac"')
    assert jac("start", "--faux").stdout == ENDPOINTS.replace("main.jac", "app.jac")
    assert jac("start", "app.jac", "--faux").exit_code == 0


def test_faux_prints_the_endpoints_and_starts_nothing(project: Path) -> None:
    result = jac("start", "--faux")
    assert (result.exit_code, result.stdout) == (0, ENDPOINTS)
    assert not (project / ".jac").exists()


def test_scale_deploys_to_the_cluster_and_says_so_if_there_is_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACFN_RUNTIME_IMAGE", "dev.local/runtime:1")
    result = jac("start", "--scale")
    assert result.exit_code == 1
    assert "Error: There is no kubeconfig, so there is no cluster to deploy to\n" in result.stderr


def test_scale_without_an_image_says_how_to_get_one(project: Path) -> None:
    result = jac("start", "--scale")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: There is no runtime image for the cluster\n"
        "  Neither [plugins.scale.knative] runtime_image nor JACFN_RUNTIME_IMAGE is set.\n"
        "Make one: jacfn image runtime --push REGISTRY/NAME:TAG; or let --build make an image of the app's own.\n"
    )


def test_build_is_for_scale_and_needs_a_registry(project: Path) -> None:
    alone = jac("start", "--build")
    assert (alone.exit_code, alone.stderr.splitlines()[-1]) == (2, "Error: --build needs --scale")
    nowhere = jac("start", "--scale", "-b")
    assert nowhere.exit_code == 2
    assert nowhere.stderr == (
        "Error: --build has no registry to push to\n"
        "Set DOCKER_USERNAME and DOCKER_PASSWORD for Docker Hub, or --registry for another one; "
        "for a cluster without a registry write an archive: --output image.tar.\n"
    )


# `jac destroy <filename.jac>`


def test_destroy_needs_a_file_and_a_cluster(project: Path) -> None:
    assert (jac("destroy").exit_code, "Missing argument 'FILE'" in jac("destroy").stderr) == (2, True)
    result = jac("destroy", "main.jac", "--yes")
    assert (result.exit_code, "There is no kubeconfig" in result.stderr) == (1, True)


# Environment variables, and the keys of jac.toml that mean the same


def deployed(tmp_path: Path, env: dict[str, str], knative: bool = True) -> tuple[App, str]:
    """The app that these variables describe, and its manifests as text."""
    settings = read_settings(tmp_path, env)
    app = describe(settings, CATALOG, Bundle(hash="0" * 64), Image(reference="r/i@sha256:1"), run_main=True)
    return app, json.dumps(objects(app, Capabilities(knative=knative)))


Value = Callable[[Settings], Any]
ENVIRONMENT: list[tuple[str, Value, Any, str, str]] = [
    # variable, where it shows, its default, another value, what is then in the manifests
    ("APP_NAME", lambda s: s.kubernetes.app_name, "jaseci", "other", '"jacfn.dev/app": "other"'),
    ("K8s_NAMESPACE", lambda s: s.kubernetes.namespace, "default", "elsewhere", '"namespace": "elsewhere"'),
    ("K8s_NODE_PORT", lambda s: s.kubernetes.node_port, 30001, "30077", '"nodePort": 30077'),
    ("K8s_CPU_REQUEST", lambda s: s.kubernetes.cpu_request, None, "123m", '"cpu": "123m"'),
    ("K8s_CPU_LIMIT", lambda s: s.kubernetes.cpu_limit, None, "777m", '"limits": {"cpu": "777m"'),
    ("K8s_MEMORY_REQUEST", lambda s: s.kubernetes.memory_request, None, "111Mi", '"memory": "111Mi"'),
    ("K8s_MEMORY_LIMIT", lambda s: s.kubernetes.memory_limit, None, "555Mi", '"memory": "555Mi"'),
]
FALLBACK: list[tuple[str, Value, Any, str, str]] = [
    ("K8s_HEALTHCHECK_PATH", lambda s: s.kubernetes.healthcheck_path, "/docs", "/healthz/live", '"path": "/healthz/live"'),
    ("K8s_READINESS_INITIAL_DELAY", lambda s: s.kubernetes.readiness_initial_delay, 10, "11", '"initialDelaySeconds": 11'),
    ("K8s_READINESS_PERIOD", lambda s: s.kubernetes.readiness_period, 20, "21", '"periodSeconds": 21'),
    ("K8s_LIVENESS_INITIAL_DELAY", lambda s: s.kubernetes.liveness_initial_delay, 10, "12", '"initialDelaySeconds": 12'),
    ("K8s_LIVENESS_PERIOD", lambda s: s.kubernetes.liveness_period, 20, "22", '"periodSeconds": 22'),
    ("K8s_LIVENESS_FAILURE_THRESHOLD", lambda s: s.kubernetes.liveness_failure_threshold, 80, "81", '"failureThreshold": 81'),
]


@pytest.mark.parametrize(("variable", "value", "default", "other", "shows"), ENVIRONMENT)
def test_a_kubernetes_variable_has_the_documents_default_and_reaches_the_manifests(
    tmp_path: Path, variable: str, value: Value, default: Any, other: str, shows: str
) -> None:
    assert value(read_settings(tmp_path, {})) == default
    for knative in (True, False):
        assert shows not in deployed(tmp_path, {}, knative)[1]
        assert shows in deployed(tmp_path, {variable: other}, knative)[1]


@pytest.mark.parametrize(("variable", "value", "default", "other", "shows"), FALLBACK)
def test_a_health_variable_has_the_documents_default_and_reaches_the_fallbacks_probes(
    tmp_path: Path, variable: str, value: Value, default: Any, other: str, shows: str
) -> None:
    assert value(read_settings(tmp_path, {})) == default
    assert shows not in deployed(tmp_path, {}, knative=False)[1]
    assert shows in deployed(tmp_path, {variable: other}, knative=False)[1]


@pytest.mark.parametrize(
    ("variable", "service"), [("K8s_MONGODB", "jaseci-mongodb-service"), ("K8s_REDIS", "jaseci-redis-service")]
)
def test_a_database_is_provisioned_unless_switched_off(tmp_path: Path, variable: str, service: str) -> None:
    outside = {"MONGODB_URI": "mongodb://db.example/jac_db"} if variable == "K8s_MONGODB" else {}
    assert f'"name": "{service}"' in deployed(tmp_path, {variable: "True"})[1]
    assert f'"name": "{service}"' in deployed(tmp_path, {})[1]
    assert f'"name": "{service}"' not in deployed(tmp_path, {variable: "False", **outside})[1]


def test_docker_credentials_have_no_default_and_name_the_image(tmp_path: Path) -> None:
    kubernetes = read_settings(tmp_path, {}).kubernetes
    assert (kubernetes.docker_username, kubernetes.docker_password) == ("", "")
    given = read_settings(tmp_path, {"DOCKER_USERNAME": "me", "DOCKER_PASSWORD": "my-token-123"})
    assert (given.kubernetes.docker_username, given.secrets) == ("me", ("my-token-123",))


def test_the_kubernetes_section_of_jac_toml_means_the_same_as_the_variables(tmp_path: Path) -> None:
    (tmp_path / "jac.toml").write_text(
        """
        [plugins.scale.kubernetes]
        app_name = "myapp"
        namespace = "default"
        container_port = 8000
        node_port = 30001
        mongodb_enabled = true
        redis_enabled = true

        # For production builds
        docker_username = "${DOCKER_USERNAME}"
        docker_password = "${DOCKER_PASSWORD}"
        """
    )
    app, manifests = deployed(tmp_path, {})
    assert (app.name, app.namespace, app.container_port, app.node_port) == ("myapp", "default", 8000, 30001)
    assert '"containerPort": 8000' in manifests
    assert read_settings(tmp_path, {"DOCKER_USERNAME": "me"}).kubernetes.docker_username == "me"


def test_mongodb_has_five_gibibytes_and_both_stores_the_documents_addresses(tmp_path: Path) -> None:
    app, manifests = deployed(tmp_path, {})
    assert app.data.storage == "5Gi"
    assert '"storage": "5Gi"' in manifests
    assert '"port": 27017' in manifests
    assert '"port": 6379' in manifests


def test_the_autoscaler_keeps_one_to_five_pods_at_80_percent(tmp_path: Path) -> None:
    _, manifests = deployed(tmp_path, {}, knative=False)
    assert '"minReplicas": 1' in manifests
    assert '"maxReplicas": 5' in manifests
    assert '"averageUtilization": 80' in manifests
    (tmp_path / "jac.toml").write_text("[plugins.scale.kubernetes]\nmax_replicas = 9")
    assert '"maxReplicas": 9' in deployed(tmp_path, {}, knative=False)[1]


# jac.toml: jwt, sso, database, server


@pytest.mark.parametrize(
    ("toml", "env", "variable", "value"),
    [
        ("", {}, "JWT_ALGORITHM", "HS256"),
        ("", {}, "JWT_EXP_DELTA_DAYS", "7"),
        ("[plugins.scale.jwt]\nexp_delta_days = 1", {}, "JWT_EXP_DELTA_DAYS", "1"),
        ("[plugins.scale.jwt]\nsecret = '${KEY}'", {"KEY": "k" * 32}, "JWT_SECRET", "k" * 32),
        ("[plugins.scale.sso]\nhost = 'http://localhost:8000/sso'", {}, "SSO_HOST", "http://localhost:8000/sso"),
        ("[plugins.scale.sso.google]\nclient_id = '${ID}'\nclient_secret = 's'", {"ID": "i"}, "SSO_GOOGLE_CLIENT_ID", "i"),
        ("[plugins.scale.sso.google]\nclient_id = 'i'\nclient_secret = 's'", {}, "SSO_GOOGLE_CLIENT_SECRET", "s"),
        ("[plugins.scale.database]\nmongodb_uri = '${M}'", {"M": "mongodb://m/x"}, "MONGODB_URI", "mongodb://m/x"),
        ("[plugins.scale.database]\nredis_url = 'redis://r/0'", {}, "REDIS_URL", "redis://r/0"),
        ("", {}, "MONGODB_URI", ""),
        ("", {}, "REDIS_URL", ""),
    ],
)
def test_a_setting_of_jac_toml_reaches_the_process_under_its_variable(
    tmp_path: Path, toml: str, env: dict[str, str], variable: str, value: str
) -> None:
    (tmp_path / "jac.toml").write_text(toml)
    assert environment(read_settings(tmp_path, env), tmp_path, "", True)[variable] == value


def test_shelf_db_path_has_the_documents_default_and_names_the_file(tmp_path: Path) -> None:
    assert environment(read_settings(tmp_path, {}), tmp_path, "", True)["SHELF_DB_PATH"] == str(
        tmp_path / ".jac" / "data" / "anchor_store.db"
    )
    (tmp_path / "jac.toml").write_text("[plugins.scale.database]\nshelf_db_path = 'data/g.db'")
    assert environment(read_settings(tmp_path, {}), tmp_path, "", True)["SHELF_DB_PATH"] == str(tmp_path / "data" / "g.db")


def test_the_server_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    assert read_settings(tmp_path, {}).server.host == "127.0.0.1"
    (tmp_path / "jac.toml").write_text('[plugins.scale.server]\nport = 8000\nhost = "0.0.0.0"')
    assert read_settings(tmp_path, {}).server.host == "0.0.0.0"


def test_every_setting_can_be_seen_with_its_origin_and_no_secret_with_its_value(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_NAME", "mine")
    (project / "jac.toml").write_text(
        "[serve]\nport = 3000\n[plugins.scale.jwt]\nsecret = 'a-very-secret-secret-of-32-bytes'\n"
        "[plugins.scale.sso.google]\nclient_id = '${GONE}'\n[plugins.scale.functions.get_items]\nmin_scale = 2\n"
    )
    shown = {line.split("  ")[0]: line.split(maxsplit=1)[1] for line in jac("settings").stdout.splitlines()}
    assert shown["plugins.scale.kubernetes.app_name"].split("  ")[0] == "mine"
    assert shown["plugins.scale.kubernetes.app_name"].endswith("  environment variable APP_NAME")
    assert shown["serve.port"].split() == ["3000", "jac.toml"]
    assert shown["plugins.scale.jwt.secret"].split() == ["(hidden)", "jac.toml"]
    assert shown["plugins.scale.sso.google.client_id"].startswith("GONE is not set  ")
    assert shown["plugins.scale.functions.get_items.min_scale"].split() == ["2", "jac.toml"]
    assert shown["plugins.scale.kubernetes.namespace"].split() == ["default", "default"]
