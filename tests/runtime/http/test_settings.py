"""The environment contract: names, defaults, and a refusal that names the variable for everything that cannot be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.settings import Settings

LEAST = {"JACFN_BUNDLE": "/bundle"}


def read(**env: str) -> Settings:
    return Settings.read(LEAST | env)


def test_one_variable_is_enough() -> None:
    settings = read()
    assert (settings.host, settings.port, settings.serve, settings.app) == ("0.0.0.0", 8080, ("all",), "jaseci")
    assert (settings.body_limit, settings.grace_seconds) == (1024 * 1024, 25)
    assert (settings.jwt_algorithm, settings.jwt_days) == ("HS256", 7)
    assert settings.shelf_db_path == Path(".jac/data/anchor_store.db")
    assert settings.embedded
    assert settings.serves_identity
    assert not settings.is_gateway


def test_an_empty_variable_counts_as_not_set() -> None:
    names = ("JACFN_SERVE", "JACFN_APP", "JACFN_HOST", "PORT", "JACFN_LOADER", "JACFN_ROUTES", "JWT_SECRET", "SHELF_DB_PATH")
    assert read(**dict.fromkeys(names, "")) == read()


@pytest.mark.parametrize(
    ("serve", "expected"),
    [
        ("all", ("all",)),
        ("gateway", ("gateway",)),
        ("walker/a", ("walker/a",)),
        (" walker/a , function/b ,", ("walker/a", "function/b")),
    ],
)
def test_what_is_served(serve: str, expected: tuple[str, ...]) -> None:
    assert read(JACFN_SERVE=serve).serve == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("JACFN_SERVE", value) for value in (",", "nonsense", "walker/", "/a", "all,gateway", "walker/a,all", "node/a")],
        *[("PORT", value) for value in ("0x50", "-1", "65536", "8080.0", " 80", "٨٠")],
        *[("JACFN_BODY_LIMIT", value) for value in ("0", "-5", "1MiB", "999999999999")],
        *[("JACFN_GRACE_SECONDS", value) for value in ("0", "soon", "3601")],
        *[("JWT_EXP_DELTA_DAYS", value) for value in ("0", "-1", "nan", "inf", "many")],
        *[("JACFN_ISOLATION", value) for value in ("{", "[]", '{"walker/a": 1}', '{"walker/a": "serialisable"}')],
        *[("JACFN_ROUTES", value) for value in ("{", '{"walker/a": []}', "/nonexistent/routes.json", sys.executable)],
        *[("JACFN_MAIN", value) for value in ("true", "yes")],
        ("JACFN_LOADER", "fast"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_ALGORITHM", "RS256"),
        ("JWT_SECRET", "too short"),
        ("JACFN_ON_UNAVAILABLE", "shrug"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**{name: value})
    assert name in str(caught.value)
    assert caught.value.exit_code == 2


def test_without_a_bundle_nothing_is_served() -> None:
    with pytest.raises(SettingsError, match="JACFN_BUNDLE"):
        Settings.read({})


def test_routes_are_json_or_a_file_of_json(tmp_path: Path) -> None:
    routes = {"walker/a": "http://a.shop.svc.cluster.local"}
    file = tmp_path / "routes.json"
    file.write_text(json.dumps(routes))
    assert read(JACFN_ROUTES=json.dumps(routes)).routes == read(JACFN_ROUTES=str(file)).routes == routes


def test_no_secret_shows_in_a_repr_or_in_a_refusal() -> None:
    env = {
        "JWT_SECRET": "s3cret" * 8,
        "MONGODB_URI": "mongodb://user:s3cret@host/db",
        "REDIS_URL": "redis://:s3cret@host",
        "SSO_GOOGLE_CLIENT_ID": "id",
        "SSO_GOOGLE_CLIENT_SECRET": "s3cret",
    }
    assert "s3cret" not in repr(read(**env))
    with pytest.raises(SettingsError) as caught:
        read(JWT_SECRET="s3cret")
    assert "s3cret" not in str(caught.value)
