"""Proving to one registry who we are: Basic, or a token per scope from its token service (distribution's token specification).

Nothing is sent before the registry asks, and nothing at all over plain HTTP that the user did not point at it: see Registry.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jacfn_knative.image.challenge import Challenge, parse
from jacfn_knative.image.credentials import Credentials, Found, Keychain
from jacfn_knative.image.errors import LoginFailed, LoginRequired, RegistryFault, RegistryUnreachable
from jacfn_knative.image.reference import may_be_plain

if TYPE_CHECKING:
    import httpx2

Scopes = tuple[str, ...]
_SHORTEST_LIFE = 60.0  # seconds; what a token is good for when its service does not say (token specification, `expires_in`)


class Login:
    """The authorization headers for one registry, made when it first asks and kept while they are good."""

    def __init__(self, registry: str, keychain: Keychain, client: httpx2.Client) -> None:
        self.registry = registry
        self._keychain = keychain
        self._client = client
        self._found: Found | None = None
        self._challenge: Challenge | None = None
        self._headers: dict[Scopes, tuple[str, float]] = {}

    @property
    def found(self) -> Found:
        """What the keychain knows about the registry; looked up once, and only if the registry asks."""
        if self._found is None:
            self._found = self._keychain.find(self.registry)
        return self._found

    @property
    def evidence(self) -> str:
        """Which login was used, for errors. Never has a password."""
        return f"{self.registry} was asked with {self.found.origin}." if self.found.credentials else f"{self.found.origin}."

    def header(self, scopes: Scopes) -> str:
        """The Authorization header for a request of this scope; empty while the registry has not asked for one."""
        header, good_until = self._headers.get(scopes, ("", 0.0))
        if header and time.monotonic() < good_until:
            return header
        return self._make(self._challenge, scopes) if self._challenge else ""

    def answer(self, asked: str, scopes: Scopes) -> None:
        """Make a new header from a `WWW-Authenticate` header.

        Raises LoginFailed, LoginRequired, or RegistryFault if the challenge is none that this client can answer.
        """
        challenges = {challenge.scheme: challenge for challenge in parse(asked)}
        self._challenge = challenges.get("bearer") or challenges.get("basic")
        if self._challenge is None:
            raise RegistryFault(
                f"{self.registry} asks for a login in a way that is not known", evidence=f"WWW-Authenticate: {asked}"
            )
        self._make(self._challenge, scopes)

    def _make(self, challenge: Challenge, scopes: Scopes) -> str:
        if challenge.scheme == "basic":
            header, life = self._basic(), 3600.0
        else:
            token, life = self._token(challenge, scopes)
            header = f"Bearer {token}"
        self._headers[scopes] = (header, time.monotonic() + life * 0.9)
        return header

    def _basic(self) -> str:
        credentials = self.found.credentials
        if credentials is None:
            raise self.required()
        if not credentials.password:
            raise LoginFailed(f"{self.registry} wants a password, and there is only a token", evidence=self.evidence)
        return f"Basic {credentials.basic}"

    def _token(self, challenge: Challenge, scopes: Scopes) -> tuple[str, float]:
        """A token for the scopes and how many seconds it is good for. Without credentials it is an anonymous one."""
        response = self._ask(challenge, scopes, self.found.credentials)
        if response.status_code in (400, 401, 403):  # 400: some services say `invalid_grant` for a token that was revoked
            raise self.failed(response.text) if self.found.credentials else self.required()
        try:
            answer: Any = response.json() if response.is_success else {}
        except ValueError:
            answer = {}
        token = answer.get("token") or answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise RegistryFault(
                f"The token service of {self.registry} gave no token",
                evidence=f"{challenge.get('realm')}: HTTP {response.status_code}",
            )
        life = answer.get("expires_in")
        return token, float(life) if isinstance(life, int | float) and life > 0 else _SHORTEST_LIFE

    def _ask(self, challenge: Challenge, scopes: Scopes, credentials: Credentials | None) -> httpx2.Response:
        import httpx2

        realm, service = challenge.get("realm"), challenge.get("service")
        if not realm.startswith(("https://", "http://") if may_be_plain(self.registry) else "https://"):
            raise RegistryFault(f"{self.registry} names no token service that can be trusted", evidence=f"realm={realm!r}")
        try:
            if credentials and credentials.identity_token:
                form = {"grant_type": "refresh_token", "refresh_token": credentials.identity_token, "client_id": "jacfn"}
                return self._client.post(realm, data={**form, "service": service, "scope": " ".join(scopes)})
            headers = {"Authorization": f"Basic {credentials.basic}"} if credentials else {}
            query = [("service", service)] if service else []
            return self._client.get(realm, params=[*query, *(("scope", scope) for scope in scopes)], headers=headers)
        except httpx2.HTTPError as error:
            raise RegistryUnreachable(
                f"The token service of {self.registry} does not answer", evidence=f"{realm}: {error or type(error).__name__}"
            ) from error

    def failed(self, answer: str = "") -> LoginFailed:
        """The error for credentials that were not accepted."""
        return LoginFailed(
            f"{self.registry} does not accept the user name or password",
            evidence=" ".join((self.evidence, answer.strip()[:200])).strip(),
            next_step=f"Check DOCKER_USERNAME and DOCKER_PASSWORD, or run `docker login {self.registry}` again.",
        )

    def required(self) -> LoginRequired:
        """The error for credentials that are missing."""
        return LoginRequired(
            f"{self.registry} wants a login",
            evidence=self.evidence,
            next_step=f"Set DOCKER_USERNAME and DOCKER_PASSWORD, or run `docker login {self.registry}`.",
        )
