"""Single sign-on: which platforms there are, and one sign-on from start to end. Knows no HTTP server.

The browser carries a signed cookie between start and end (state, nonce, PKCE verifier), so any gateway can finish what another
began, and a state is good only in the browser that started it. An identity is (issuer, subject) and nothing else: an e-mail
address never links it to an account that exists, because whoever registered that account need not own the address.

A web or mobile client that wants the tokens itself starts with `redirect` (allow-listed, compared letter for letter) and
`code_challenge`, gets a code that is good once for a minute, and exchanges it with its `code_verifier`: no token is ever in a URL
(RFC 9700 section 4.3.2), and a code is worth nothing to who intercepts or plants it (RFC 7636).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from jacfn_runtime.errors import SettingsError
from jacfn_runtime.http.log import log
from jacfn_runtime.identity.errors import InvalidArguments, InvalidToken, SsoFailed, SsoNotConfigured, UnknownPlatform
from jacfn_runtime.identity.provider import Pending, Provider
from jacfn_runtime.identity.tokens import Grant

if TYPE_CHECKING:
    from jacfn_runtime.identity.accounts import Accounts
    from jacfn_runtime.settings import Settings

ISSUERS = {"google": "https://accounts.google.com"}
PENDING_SECONDS = 600  # from the start to the callback: time to find a second factor
CODE_SECONDS = 60
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636: base64url of a SHA-256


class SingleSignOn:
    """The platforms of one app."""

    def __init__(self, settings: Settings, accounts: Accounts) -> None:
        """Raises SettingsError for a host or an issuer that is no URL."""
        self._accounts = accounts
        self._redirects = settings.sso_redirects
        self._host = settings.sso_host.rstrip("/")
        self._providers = dict(self._usable(settings)) if self._host else {}
        self._known = {*ISSUERS, *settings.sso}

    @property
    def cookie_path(self) -> str:
        return urlsplit(self._host).path or "/"

    @property
    def is_https(self) -> bool:
        return self._host.startswith("https:")

    async def start(self, platform: str, redirect: str | None, challenge: str | None) -> tuple[str, str]:
        """Where to send the browser, and the cookie that it has to bring back."""
        provider = self._find(platform)
        data = self._wishes(redirect, challenge)
        pending = Pending.new()
        url = await provider.url(pending)
        data |= {"platform": platform, "state": pending.state, "nonce": pending.nonce, "verifier": pending.verifier}
        return url, self._accounts.tokens.seal("sso", data, PENDING_SECONDS)

    async def finish(self, platform: str, query: Mapping[str, str], cookie: str | None) -> dict[str, Any] | str:
        """The answer of a login; or, where the start named a redirect, the URL to send the browser to."""
        provider = self._find(platform)
        data = self._unsealed(platform, query, cookie)
        if "code" not in query:
            raise SsoFailed(f"{platform} says: {query.get('error', 'nothing')!r}"[:200])
        pending = Pending(data["state"], data["nonce"], data["verifier"])
        person = await provider.person(pending, query["code"], query.get("iss"))
        user, grant = await self._accounts.sign_on(person.issuer, person.subject, person.email)
        if "redirect" not in data:
            return self._accounts.tokens.issue(user.caller, grant)
        content = {"user": user.id, "family": grant.family, "serial": grant.serial, "challenge": data["challenge"]}
        code = self._accounts.tokens.seal("code", content, CODE_SECONDS)
        return f"{data['redirect']}{'&' if '?' in data['redirect'] else '?'}{urlencode({'code': code})}"

    async def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        """The answer of a login for the code that the client got at its redirect. Raises InvalidToken."""
        data = self._accounts.tokens.unseal("code", code)
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        if not hmac.compare_digest(digest, data["challenge"]):
            raise InvalidToken("the code_verifier does not fit the code_challenge")
        return await self._accounts.redeem(data["user"], Grant(data["family"], data["serial"]))

    def _find(self, platform: str) -> Provider:
        if platform not in self._known:
            raise UnknownPlatform(platform)
        if platform not in self._providers:
            raise SsoNotConfigured(platform)
        return self._providers[platform]

    def _usable(self, settings: Settings) -> Iterator[tuple[str, Provider]]:
        """The platforms that can work. One that jacfn does not know is left out with a warning: 501, and the app starts."""
        for name, client in settings.sso.items():
            issuer = client.issuer or ISSUERS.get(name, "")
            variable = f"SSO_{name.upper()}_ISSUER"
            if not issuer:
                log("warning", f"{variable} is not set: nobody can sign on with {name}, which jacfn does not know by name")
                continue
            for setting, url in (("SSO_HOST", self._host), (variable, issuer)):
                if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                    raise SettingsError(f"{setting}={url!r} is not an http or https URL")
            yield name, Provider(name, issuer, client, f"{self._host}/{name}/callback")

    def _wishes(self, redirect: str | None, challenge: str | None) -> dict[str, str]:
        if redirect is None:
            return {}
        if redirect not in self._redirects:
            raise InvalidArguments("query.redirect", "Must be one of SSO_REDIRECTS, letter for letter")
        if challenge is None or not CHALLENGE.fullmatch(challenge):
            raise InvalidArguments("query.code_challenge", "Must be the base64url SHA-256 of your code_verifier, without padding")
        return {"redirect": redirect, "challenge": challenge}

    def _unsealed(self, platform: str, query: Mapping[str, str], cookie: str | None) -> dict[str, str]:
        if cookie is None:
            raise SsoFailed("the browser brought no cookie: started elsewhere, or too long ago")
        try:
            data = self._accounts.tokens.unseal("sso", cookie)
        except InvalidToken as error:
            raise SsoFailed(f"the cookie: {error.reason}") from None
        if data["platform"] != platform or not hmac.compare_digest(data["state"].encode(), query.get("state", "").encode()):
            raise SsoFailed("the state is not that of this browser's sign-on")
        return data
