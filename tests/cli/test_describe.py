"""Settings, catalog and bundle become the App that the knative room deploys."""

from __future__ import annotations

from pathlib import Path

import pytest

from jacfn_cli.describe import describe
from jacfn_cli.settings import read_settings
from jacfn_knative.app import App, Bundle, Image, Knobs
from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests.warm import Window
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.program.catalog import Catalog, Endpoint

CATALOG = Catalog(
    entry="main.jac",
    endpoints=(
        Endpoint(kind="function", name="total", access="", parameters=(), schema={}, module="main", file="main.jac", line=9),
        Endpoint(kind="walker", name="get_items", access="pub", parameters=(), schema={}, module="main", file="main.jac", line=1),
    ),
)


def app(folder: Path, toml: str = "", env: dict[str, str] | None = None) -> App:
    (folder / "jac.toml").write_text(toml)
    settings = read_settings(folder, env or {})
    return describe(settings, CATALOG, Bundle(hash="0" * 64), Image(reference="r/i@sha256:1"), run_main=True)


def test_without_settings_the_documents_defaults_hold(tmp_path: Path) -> None:
    found = app(tmp_path)
    assert (found.name, found.namespace, found.node_port, found.container_port) == ("jaseci", "default", 30001, 8000)
    assert (found.data.provisions_mongodb, found.data.provisions_redis, found.data.storage) == (True, True, "5Gi")
    assert (found.health.path, found.health.readiness_initial_delay, found.health.readiness_period) == ("/docs", 10, 20)
    assert (found.health.liveness_initial_delay, found.health.liveness_period) == (10, 20)
    assert found.health.liveness_failure_threshold == 80
    assert (found.autoscaling.min_replicas, found.autoscaling.max_replicas, found.autoscaling.cpu_percent) == (1, 5, 80)
    assert (found.jwt.secret, found.jwt.algorithm, found.jwt.days) == ("", "HS256", 7)
    assert found.project.startswith(f"{tmp_path.name} (unnamed, folder ")
    assert [(e.id, e.public, e.knobs) for e in found.endpoints] == [
        ("function/total", False, Knobs()),
        ("walker/get_items", True, Knobs()),
    ]


def test_knobs_of_one_function_win_over_those_of_all(tmp_path: Path) -> None:
    toml = """
    [plugins.scale.knative]
    max_scale = 3
    window = "1m"
    timeout = 60
    [plugins.scale.functions.total]
    max_scale = 7
    warm = "08:00-18:00"
    cpu = "250m"
    """
    total, items = app(tmp_path, toml).endpoints
    assert (total.knobs.max_scale, total.knobs.window, total.knobs.timeout) == (7, 60, 60)
    assert (total.knobs.warm, total.knobs.cpu) == ("08:00-18:00", "250m")
    assert (items.knobs.max_scale, items.knobs.warm) == (3, "")


@pytest.mark.parametrize(
    "warm",
    ["00:00-24:00", "8:00-18:00", "22:30-06:00 Europe/Berlin", "08:00-18:00 Etc/GMT+1", "00:00-23:59 America/Port-au-Prince"],
)
def test_every_window_that_a_cron_job_can_keep_may_be_written(tmp_path: Path, warm: str) -> None:
    total, _ = app(tmp_path, f'[plugins.scale.functions.total]\nwarm = "{warm}"').endpoints
    assert Window.parse(total.knobs.warm)


@pytest.mark.parametrize("warm", ["08:00-24:01", "24:00-08:00", "08:00", "8-18", "08:00-18:00 ", "08:00-18:60"])
def test_what_is_no_window_is_refused(tmp_path: Path, warm: str) -> None:
    with pytest.raises(SettingsError, match="warm = "):
        app(tmp_path, f'[plugins.scale.functions.total]\nwarm = "{warm}"')


def test_knobs_that_do_not_go_together_are_refused_with_their_endpoint(tmp_path: Path) -> None:
    toml = "[plugins.scale.knative]\nmin_scale = 5\n[plugins.scale.functions.total]\nmax_scale = 3"
    with pytest.raises(InvalidApp) as refused:
        app(tmp_path, toml)
    assert refused.value.what == "function/total: max_scale = 3 is below min_scale = 5"
    assert "[plugins.scale.functions.<name>]" in refused.value.next_step


def test_a_function_section_without_an_endpoint_is_refused_with_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fits no endpoint of") as error:
        app(tmp_path, "[plugins.scale.functions.get_item]\nmin_scale = 1")
    assert error.value.next_step == "Did you mean `get_items`?"


def test_mongodb_switched_off_without_a_uri_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidApp, match="has no database"):
        app(tmp_path, env={"K8s_MONGODB": "False"})
    given = app(tmp_path, env={"K8s_MONGODB": "False", "MONGODB_URI": "mongodb://db/x", "K8s_REDIS": "False"})
    assert (given.data.provisions_mongodb, given.data.mongodb_uri, given.data.has_redis) == (False, "mongodb://db/x", False)


def test_a_limit_without_a_request_leaves_the_request_to_the_manifests(tmp_path: Path) -> None:
    found = app(tmp_path, env={"K8s_CPU_LIMIT": "50m", "K8s_MEMORY_REQUEST": "128Mi", "K8s_MEMORY_LIMIT": "512Mi"}).resources
    assert (found.cpu_request, found.cpu_limit) == ("", "50m")
    assert (found.memory_request, found.memory_limit) == ("128Mi", "512Mi")


def test_an_openid_provider_by_issuer_and_the_allowed_redirects_reach_the_app(tmp_path: Path) -> None:
    env = {"SSO_ACME_CLIENT_ID": "id", "SSO_ACME_CLIENT_SECRET": "hush", "SSO_ACME_ISSUER": "https://id.acme.example"}
    found = app(tmp_path, env=env | {"SSO_REDIRECTS": "https://a.example/in, https://b.example/in"}).sso
    assert found.clients["acme"].issuer == "https://id.acme.example"
    assert found.redirects == ("https://a.example/in", "https://b.example/in")


def test_single_sign_on_reaches_the_app_by_platform(tmp_path: Path) -> None:
    toml = '[plugins.scale.sso]\nhost = "https://x"\n[plugins.scale.sso.google]\nclient_id = "i"\nclient_secret = "s"\n'
    sso = app(tmp_path, toml, {"SSO_GITHUB_CLIENT_ID": "j", "SSO_GITHUB_CLIENT_SECRET": "t"}).sso
    assert {name: client.client_id for name, client in sso.clients.items()} == {"google": "i", "github": "j"}
