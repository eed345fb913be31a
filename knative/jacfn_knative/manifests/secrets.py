"""The app's Secrets: their names and keys. Values are made, or taken from the settings, in cluster/; no manifest ever has one."""

from __future__ import annotations

from jacfn_knative.app import App
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.kinds import Object

PULL_TYPE = "kubernetes.io/dockerconfigjson"


def keys(app: App) -> dict[str, tuple[str, ...]]:
    """Secret (without the app's name in front) -> its keys.

    `mongodb` and `redis` have the address that pods connect to; where the deploy provisions the service, also what the server is
    started with: mongod's user, password and the key file of its replica set, Redis' configuration line with its password.
    """
    found: dict[str, tuple[str, ...]] = {"jwt": ("secret",)}
    found["mongodb"] = ("uri", "username", "password", "keyfile") if app.data.provisions_mongodb else ("uri",)
    if app.data.has_redis:
        found["redis"] = ("url", "password", "redis.conf") if app.data.provisions_redis else ("url",)
    if app.sso.clients:
        found["sso"] = tuple(f"{platform}_{part}" for platform in sorted(app.sso.clients) for part in ("id", "secret"))
    if app.secret_env:
        found["env"] = tuple(sorted(app.secret_env))
    if app.image.credentials:
        found["pull"] = (".dockerconfigjson",)
    return found


def objects(context: Context) -> list[Object]:
    """One Secret for each of `keys`, without data."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": context.metadata(context.secret(name), "secret"),
            "type": PULL_TYPE if name == "pull" else "Opaque",
        }
        for name in keys(context.app)
    ]
