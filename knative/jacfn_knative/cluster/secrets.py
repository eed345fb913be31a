"""The values of an app's Secrets: taken from the settings where they are given, made at random once, kept ever after."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence

from jacfn_knative.app import App
from jacfn_knative.errors import Refused
from jacfn_knative.manifests.data import MONGODB_USER, mongodb_uri, redis_url
from jacfn_knative.manifests.kinds import Object
from jacfn_knative.manifests.secrets import keys

type Values = dict[str, dict[str, str]]

OF_DATABASES = ("mongodb", "redis")
JWT_BYTES = 48  # above the 32 that HS256 asks for (RFC 7518 section 3.2), and enough for HS384
PASSWORD_BYTES = 24
KEYFILE_BYTES = 756  # mongod takes 6 to 1024 characters of base64


def settle(app: App, live: Sequence[Object]) -> Values:
    """Secret's full name -> key -> value, for every Secret of the app.

    What the settings give wins; what is in the cluster stays; what is missing is made. Of the databases, keys that only the
    cluster has stay too: a password may belong to one that is not in use now and comes back. Of the user's own secrets goes what
    the settings no longer name. Raises Refused if a database is there and the Secret with its password is not: a new password
    would open nothing.
    """
    there = {item["metadata"]["name"]: _decoded(item) for item in live if item["kind"] == "Secret"}
    claimed = any(item["kind"] == "PersistentVolumeClaim" for item in live)
    if app.data.provisions_mongodb and claimed and "password" not in there.get(f"{app.name}-mongodb", {}):
        raise Refused(
            f"The database of {app.name} is there and the Secret with its password is not",
            evidence=f"There is a volume claim with the label jacfn.dev/app={app.name}, and no Secret {app.name}-mongodb.",
            next_step="Bring the Secret back from a backup, or remove the data with the app: jac destroy.",
        )
    wanted: Values = {}
    for name in keys(app):
        full = f"{app.name}-{name}"
        old = there.get(full, {})
        wanted[full] = (old if name in OF_DATABASES else {}) | _values(app, name, old)
    return wanted


def fingerprints(app: App, values: Values) -> dict[str, str]:
    """A short mark of each Secret's values, for the pods that read it. Keyed with the signing secret: nobody can guess back."""
    key = values[f"{app.name}-jwt"]["secret"].encode()
    return {
        name: hmac.new(key, json.dumps([name, found], sort_keys=True).encode(), hashlib.sha256).hexdigest()[:8]
        for name, found in values.items()
    }


def with_data(item: Object, values: Values) -> Object:
    """A Secret's manifest with its values; any other object as it is."""
    if item["kind"] != "Secret":
        return item
    data = {key: base64.b64encode(value.encode()).decode() for key, value in sorted(values[item["metadata"]["name"]].items())}
    return item | {"data": data}


def _values(app: App, name: str, old: Mapping[str, str]) -> dict[str, str]:
    data = app.data
    match name:
        case "jwt":
            return {"secret": app.jwt.secret or old.get("secret") or secrets.token_urlsafe(JWT_BYTES)}
        case "mongodb" if data.provisions_mongodb:
            password = old.get("password") or secrets.token_urlsafe(PASSWORD_BYTES)
            keyfile = old.get("keyfile") or base64.b64encode(secrets.token_bytes(KEYFILE_BYTES)).decode()
            uri = mongodb_uri(app.name, password)
            return {"username": MONGODB_USER, "password": password, "keyfile": keyfile, "uri": uri}
        case "mongodb":
            return {"uri": data.mongodb_uri}
        case "redis" if data.provisions_redis:
            password = old.get("password") or secrets.token_urlsafe(PASSWORD_BYTES)
            return {"password": password, "redis.conf": f"requirepass {password}\n", "url": redis_url(app.name, password)}
        case "redis":
            return {"url": data.redis_url}
        case "sso":
            found: dict[str, str] = {}
            for platform, client in app.sso.clients.items():
                found |= {f"{platform}_id": client.client_id, f"{platform}_secret": client.client_secret}
            return found
        case "env":
            return dict(app.secret_env)
        case _:
            return {".dockerconfigjson": _docker_config(app)}


def _docker_config(app: App) -> str:
    credentials = app.image.credentials
    assert credentials is not None  # the Secret `pull` exists only with them
    auth = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    entry = {"username": credentials.username, "password": credentials.password, "auth": auth}
    return json.dumps({"auths": {credentials.registry: entry}}, sort_keys=True)


def _decoded(item: Object) -> dict[str, str]:
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in item.get("data", {}).items()}
