"""Names in the cluster: endpoint -> DNS label. Pure.

A Knative Service's name is a DNS-1035 label, its host puts a tag and perhaps the namespace into the same 63 characters, and its
revisions add a number: so at most 45 characters, `<app up to 15>-<endpoint up to 22>-<6 of a hash>` (facts/knative.md B.4).
Jac names have capitals, underscores and letters of every alphabet; the hash of the exact id tells apart what the slug does not.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable

from jacfn_knative.errors import InvalidApp, NameCollision

SERVICE_MAX = 45
APP_SLUG_MAX = 15
ENDPOINT_SLUG_MAX = 22
HASH_LENGTH = 6
# `<app>-bundle-<12>` and `<app>-mongodb-service` are labels of at most 63 characters, a CronJob's name has at most 52.
APP_MAX = 36


def check_app_name(name: str) -> None:
    """Raise InvalidApp, with a name that would do, unless this is a DNS-1035 label of at most 36 characters."""
    if re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= APP_MAX:
        return
    suggestion = slug(name, APP_MAX)
    raise InvalidApp(
        f"{name!r} cannot be the app's name: it becomes part of host names",
        evidence=f"Allowed are a to z, 0 to 9 and -, first a letter, last no -, at most {APP_MAX} characters.",
        next_step=f"Try app_name = {suggestion!r} in [plugins.scale.kubernetes], or APP_NAME.",
    )


def check_namespace(name: str) -> None:
    """Raise InvalidApp unless this can be a namespace's name (DNS-1123 label)."""
    if not (re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= 63):
        raise InvalidApp(f"{name!r} cannot be a namespace: allowed are a to z, 0 to 9 and -, at most 63 characters")


def slug(text: str, limit: int) -> str:
    """The readable part of a name: lower case ASCII letters, digits, single dashes; first a letter; 1 to `limit` of them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    dashed = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not dashed[:1].isalpha():
        dashed = f"x-{dashed}".rstrip("-")
    return dashed[:limit].rstrip("-")


def service_name(app: str, identity: str) -> str:
    """The name of the function service of an endpoint id or a group (`group/auth`): at most 45 characters, the same for ever."""
    digest = hashlib.sha256(f"{app}\0{identity}".encode()).digest()
    mark = base64.b32encode(digest).decode().lower()[:HASH_LENGTH]
    return f"{slug(app, APP_SLUG_MAX)}-{slug(identity.partition('/')[2], ENDPOINT_SLUG_MAX)}-{mark}"


def service_names(app: str, identities: Iterable[str]) -> dict[str, str]:
    """Identity -> name for one app, injective. Raises NameCollision with both identities."""
    owners: dict[str, str] = {}
    for identity in identities:
        name = service_name(app, identity)
        if owners.setdefault(name, identity) != identity:
            raise NameCollision(name, owners[name], identity)
    return {identity: name for name, identity in owners.items()}
