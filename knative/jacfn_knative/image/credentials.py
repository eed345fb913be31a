"""Who we are at a registry: given credentials (DOCKER_USERNAME, DOCKER_PASSWORD), else what `docker login` left.

Passwords stay out of every repr and message. A helper gets the registry's name on its standard input and gives the secret on its
output.
"""

from __future__ import annotations

import base64
import binascii
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jacfn_knative.image.reference import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"  # docker's name for its own hub in config.json, since before there was a v2
_HELPER_SECONDS = 30.0  # a helper may ask a cloud's token service, or show a dialogue


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login at one registry: user name and password, or the identity token that `docker login` got by OAuth."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a Basic authorization."""
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Found:
    """What a keychain knows about a registry, and from where: the evidence of an error about logins."""

    credentials: Credentials | None
    origin: str


@dataclass(frozen=True, slots=True)
class Keychain:
    """Logins by registry. `given` ones win, then the files in their order. An empty one asks everything anonymously."""

    given: Mapping[str, Credentials] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()

    @classmethod
    def load(cls, env: Mapping[str, str], given: Mapping[str, Credentials] | None = None) -> Keychain:
        """The keychain of this user: docker's configuration ($DOCKER_CONFIG or ~/.docker), then podman's.

        DOCKER_USERNAME and DOCKER_PASSWORD are a login at Docker Hub. Whoever pushes elsewhere with them says so in `given`, by
        the registry's name: a password must not reach a registry that it was not meant for.
        """
        home = env.get("HOME") or str(Path.home())
        files = [
            Path(env.get("DOCKER_CONFIG") or f"{home}/.docker") / "config.json",
            Path(env.get("REGISTRY_AUTH_FILE") or f"{env.get('XDG_RUNTIME_DIR') or '/run'}/containers/auth.json"),
        ]
        logins = dict(given or {})
        if env.get("DOCKER_USERNAME") and env.get("DOCKER_PASSWORD"):
            logins.setdefault(DOCKER_HUB, Credentials(env["DOCKER_USERNAME"], env["DOCKER_PASSWORD"]))
        return cls(logins, tuple(files))

    def find(self, registry: str) -> Found:
        """The credentials for `registry`, if any, and where they come from. May start a credential helper."""
        if registry in self.given:
            return Found(self.given[registry], f"the given login {self.given[registry].username!r}")
        origins = []
        for file in self.files:
            found = _from_file(file, registry)
            if found.credentials:
                return found
            origins.append(found.origin)
        return Found(None, "; ".join(origins) or "no login is known")


ANONYMOUS = Keychain()
"""Asks every registry without a login."""


def pull_secret(registry: str, credentials: Credentials) -> str:
    """The content `.dockerconfigjson` of a Secret of type kubernetes.io/dockerconfigjson, with which nodes pull."""
    key = _HUB_KEY if registry == DOCKER_HUB else registry
    login = {"username": credentials.username, "password": credentials.password, "auth": credentials.basic}
    return json.dumps({"auths": {key: login}})


def _from_file(file: Path, registry: str) -> Found:
    try:
        document = json.loads(file.read_text())
    except FileNotFoundError:
        return Found(None, f"no {file}")
    except (OSError, ValueError) as error:
        return Found(None, f"{file} cannot be read: {error}")
    if not isinstance(document, dict):
        return Found(None, f"{file} is no configuration of docker")
    key = _HUB_KEY if registry == DOCKER_HUB else registry
    helpers = document.get("credHelpers") or {}
    helper = helpers.get(registry) or helpers.get(key) or document.get("credsStore")
    if helper:
        found = _from_helper(str(helper), key, file)
        if found.credentials:
            return found
    for name, entry in (document.get("auths") or {}).items():
        if _host(name) == _host(key) and (credentials := _from_entry(entry)):
            return Found(credentials, f"the login {credentials.username!r} in {file}")
    return Found(None, found.origin if helper else f"no login for {registry} in {file}")


def _host(key: str) -> str:
    """The registry that a key of `auths` names: keys may carry a scheme and a path of old API versions."""
    host = key.partition("://")[2] or key
    host = host.partition("/")[0]
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _from_entry(entry: Any) -> Credentials | None:
    """The credentials of one entry of `auths`: `auth` is base64 of `user:password`, which older clients spell out."""
    if not isinstance(entry, dict):
        return None
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
    token = str(entry.get("identitytoken") or "")
    return Credentials(username, password.rstrip("\0"), token) if token or (username and password) else None


def _from_helper(helper: str, key: str, file: Path) -> Found:
    """Ask `docker-credential-<helper> get`: the key on stdin, JSON on stdout, exit 1 for unknown (docker-credential-helpers)."""
    if Path(helper).name != helper:
        return Found(None, f"{file} names a credential helper with a path: {helper!r}")
    command = f"docker-credential-{helper}"
    try:
        done = subprocess.run([command, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_SECONDS, check=False)
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except FileNotFoundError:
        return Found(None, f"{file} names the credential helper {command}, which is not on the PATH")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return Found(None, f"the credential helper {command} failed: {type(error).__name__}")
    username, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
    if not secret:
        return Found(None, f"the credential helper {command} knows no login for {key}")
    if username == "<token>":  # the helpers' way to say that the secret is an identity token
        return Found(Credentials(identity_token=secret), f"a token of the credential helper {command}")
    return Found(Credentials(username, secret), f"the login {username!r} of the credential helper {command}")
