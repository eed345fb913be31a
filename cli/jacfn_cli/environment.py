"""Settings -> the environment of a process on this machine (ARCHITECTURE 3.1). Pure; the manifests make that of a cluster."""

from __future__ import annotations

import re
from pathlib import Path

from jacfn_cli.settings import Settings
from jacfn_runtime.errors import SettingsError


def environment(settings: Settings, bundle: Path, session: str, run_main: bool) -> dict[str, str]:
    """What every process of the program gets. What it serves, where, and in which isolation is up to whoever starts it."""
    database, jwt = settings.database, settings.jwt
    values = {
        "JACFN_BUNDLE": str(bundle),
        "JACFN_APP": settings.kubernetes.app_name,
        "JACFN_LOG": "text",
        "JACFN_MAIN": "1" if run_main else "0",
        "JACFN_ON_UNAVAILABLE": database.on_unavailable,
        "MONGODB_URI": database.mongodb_uri,
        "REDIS_URL": database.redis_url,
        "SHELF_DB_PATH": str(store_path(settings, session)),
        "JWT_SECRET": jwt.secret,
        "JWT_ALGORITHM": jwt.algorithm,
        "JWT_EXP_DELTA_DAYS": f"{jwt.exp_delta_days:g}",
        "SSO_HOST": settings.sso.host,
        "SSO_REDIRECTS": settings.sso.redirects,
    }
    for name, provider in settings.sso_providers.items():
        if provider.client_id:
            values[f"SSO_{name.upper()}_CLIENT_ID"] = provider.client_id
            values[f"SSO_{name.upper()}_CLIENT_SECRET"] = provider.client_secret
            values[f"SSO_{name.upper()}_ISSUER"] = provider.issuer
    return {**settings.env, **settings.secret_env, **values}


def store_path(settings: Settings, session: str) -> Path:
    """The embedded store's file: `shelf_db_path`, or beside it `<session>.db`. Raises SettingsError for a name that is a path."""
    path = settings.folder / settings.database.shelf_db_path
    if not session:
        return path
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", session):
        raise SettingsError(
            f"session = {session!r} cannot be",
            evidence=f"{settings.origin('serve.session')}: a session names the file that holds the graph",
            next_step="Use letters, digits, `.`, `_` and `-`.",
        )
    return path.with_name(f"{session}.db")


def laptop_warnings(settings: Settings) -> list[str]:
    """What a server on a laptop does without, because jac.toml asks for environment variables that are not set.

    Raises SettingsError for those that it cannot do without.
    """
    settings.need("plugins.scale.env", "plugins.scale.secrets", *(["plugins.scale.jwt"] if settings.database.mongodb_uri else []))
    missing = {key.removeprefix("plugins.scale."): variables[0] for key, variables in settings.missing.items()}
    said = [f"{missing[key]} is not set ({key}): this runs without it" for key in missing if key.startswith("database.")]
    if "jwt.secret" in missing:
        said.append(f"{missing['jwt.secret']} is not set (jwt.secret): tokens are signed with this laptop's own secret")
    if sso := [variable for key, variable in missing.items() if key.startswith("sso.")]:
        said.append(f"single sign-on is not complete: {', '.join(sso)} not set")
    return said
