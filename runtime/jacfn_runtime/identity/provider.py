"""One OpenID provider over HTTP: discovery, the URL that sends a browser there, and what comes back.

The flow is authorization code with PKCE S256 (RFC 9700 section 2.1.1), by Authlib's client.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jacfn_runtime.identity.errors import SsoFailed, SsoUnavailable

if TYPE_CHECKING:
    from ssl import SSLContext

    from jacfn_runtime.identity.oidc import Person
    from jacfn_runtime.settings import SsoClient

SCOPE = "openid email"
TIMEOUT_SECONDS = 5.0  # for each request to the provider
FRESH_SECONDS = 3600.0  # discovery documents and key sets change rarely
KEYS_AT_MOST_EVERY = 60.0  # seconds: a token with an invented key id must not make us ask the provider each time
AUTH_METHODS = ("client_secret_basic", "client_secret_post")
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Pending:
    """One sign-on between its start and its end: what the browser's cookie remembers."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Pending:
        return cls(token_urlsafe(32), token_urlsafe(32), token_urlsafe(48))  # RFC 7636: a verifier has 43 to 128 characters


@dataclass(slots=True)
class _Known:
    """A document of the provider and when it was read (monotonic seconds)."""

    content: dict[str, Any]
    read: float


class Provider:
    """The provider of one platform, for one client of it."""

    def __init__(self, platform: str, issuer: str, client: SsoClient, redirect_uri: str) -> None:
        self.platform = platform
        self.issuer = issuer
        self._client = client
        self._redirect_uri = redirect_uri
        self._metadata: _Known | None = None
        self._keys: _Known | None = None
        self._tls: SSLContext | None = None

    async def url(self, pending: Pending) -> str:
        """Where to send the browser. Raises SsoUnavailable."""
        async with self._session() as session:
            metadata = await self._discover(session)
            url, _ = session.create_authorization_url(
                metadata["authorization_endpoint"], state=pending.state, nonce=pending.nonce, code_verifier=pending.verifier
            )
        return str(url)

    async def person(self, pending: Pending, code: str, said_issuer: str | None) -> Person:
        """Who signed on, for the code that the browser brought back. Raises SsoFailed, SsoUnavailable."""
        async with self._session() as session:
            metadata = await self._discover(session)
            self._check_issuer(metadata, said_issuer)
            session.token_endpoint_auth_method = self._auth_method(metadata)
            token = await session.fetch_token(metadata["token_endpoint"], code=code, code_verifier=pending.verifier)
            claims = await self._claims(session, token, pending)
            if "email" not in claims and "userinfo_endpoint" in metadata:
                claims |= await self._userinfo(session, metadata["userinfo_endpoint"], claims["sub"])
        from jacfn_runtime.identity import oidc

        return oidc.person(self.issuer, claims)

    def _check_issuer(self, metadata: Mapping[str, Any], said: str | None) -> None:
        """RFC 9207: an answer that another provider mixed in names that other provider."""
        if said != self.issuer and (said is not None or metadata.get("authorization_response_iss_parameter_supported") is True):
            raise SsoFailed("the answer comes from another issuer")

    def _auth_method(self, metadata: Mapping[str, Any]) -> str:
        if not self._client.client_secret:
            return "none"
        supported = metadata.get("token_endpoint_auth_methods_supported", AUTH_METHODS[:1])  # its default by OpenID discovery
        return next((method for method in AUTH_METHODS if method in supported), AUTH_METHODS[0])

    async def _claims(self, session: Any, token: Mapping[str, Any], pending: Pending) -> dict[str, Any]:
        from jacfn_runtime.identity import oidc

        id_token, access_token = token.get("id_token"), token.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise SsoFailed("the provider sent no id_token")
        for newest in (False, True):
            keys = await self._key_set(session, newest)
            try:
                return oidc.id_token_claims(
                    id_token,
                    keys,
                    issuer=self.issuer,
                    client_id=self._client.client_id,
                    nonce=pending.nonce,
                    access_token=access_token,
                )
            except oidc.UnknownKey:
                continue
        raise SsoFailed("id_token: signed with a key that the provider does not publish")

    async def _userinfo(self, session: Any, url: str, subject: str) -> dict[str, Any]:
        info = await self._get(session, url, with_token=True)
        if info.get("sub") != subject:  # OpenID Connect Core 5.3.2: else it may be somebody else's
            raise SsoFailed("userinfo is about somebody else")
        return {claim: info[claim] for claim in ("email", "email_verified") if claim in info}

    async def _discover(self, session: Any) -> dict[str, Any]:
        known = self._metadata
        if known is None or time.monotonic() - known.read > FRESH_SECONDS:
            content = await self._get(session, f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if content.get("issuer") != self.issuer:
                raise SsoUnavailable(self.platform, f"its discovery document is that of {content.get('issuer')!r}")
            for name in ENDPOINTS:
                if urlsplit(str(content.get(name))).scheme not in ("https", urlsplit(self.issuer).scheme):
                    raise SsoUnavailable(self.platform, f"its discovery document has no safe {name}")
            known = self._metadata = _Known(content, time.monotonic())
        return known.content

    async def _key_set(self, session: Any, newest: bool) -> dict[str, Any]:
        known = self._keys
        if known is None or time.monotonic() - known.read > (KEYS_AT_MOST_EVERY if newest else FRESH_SECONDS):
            metadata = await self._discover(session)
            known = self._keys = _Known(await self._get(session, metadata["jwks_uri"]), time.monotonic())
        return known.content

    async def _get(self, session: Any, url: str, *, with_token: bool = False) -> dict[str, Any]:
        answer = await session.request("GET", url, withhold_token=not with_token)
        answer.raise_for_status()
        content = answer.json()
        if not isinstance(content, dict):
            raise SsoFailed(f"{url} did not answer a JSON object")
        return content

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Any]:
        """Authlib's client; what it raises inside becomes SsoFailed (it said no) or SsoUnavailable (it said nothing)."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(_prepare)
        import httpx2
        from authlib.integrations.base_client import OAuthError
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        session = AsyncOAuth2Client(
            self._client.client_id,
            self._client.client_secret or None,
            scope=SCOPE,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",  # Authlib does without PKCE unless told
            timeout=TIMEOUT_SECONDS,
            verify=self._tls,
        )
        async with session:
            try:
                yield session
            except OAuthError as error:
                raise SsoFailed(f"{self.platform}: {error.error}") from None
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise SsoUnavailable(self.platform, f"{type(error).__name__}: {error}") from None
            except ValueError as error:
                raise SsoFailed(f"{self.platform}: not JSON: {error}") from None


def _prepare() -> SSLContext:
    """Import what sign-ons need and read the trusted certificates (0.5 s and 25 ms): in a thread, once."""
    import httpx2

    for module in ("authlib.integrations.httpx_client", "jacfn_runtime.identity.oidc"):
        importlib.import_module(module)
    return httpx2.create_ssl_context()
