"""Identity over HTTP, on the gateway and on `all`: who registers, logs in, refreshes, signs on. The envelope is http/'s.

The incumbent's paths and bodies work as well, so that its clients do. Every answer says `Cache-Control: no-store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import falcon.asgi

from jacfn_runtime.http import body
from jacfn_runtime.http.envelope import answer
from jacfn_runtime.http.log import log
from jacfn_runtime.identity import bodies, throttle
from jacfn_runtime.identity.accounts import Accounts
from jacfn_runtime.identity.errors import IdentityError, InvalidToken
from jacfn_runtime.identity.sso import PENDING_SECONDS, SingleSignOn
from jacfn_runtime.identity.tokens import Caller, Tokens
from jacfn_runtime.identity.users import Graph

if TYPE_CHECKING:
    from jacfn_runtime.settings import Settings

BODY_BYTES = 32 * 1024  # two of the longest passwords, every character escaped, take 24 KiB
COOKIE = "jacfn_sso"
QUERY = ("code", "state", "iss", "error")


def add_routes(app: falcon.asgi.App[Any, Any], settings: Settings, graph: Graph) -> Accounts:
    """Mount identity on the app. Connects to nothing yet. The caller closes what is returned.

    Raises SettingsError without a secret for tokens, or for single sign-on settings that cannot work.
    """
    accounts = Accounts.configured(settings, graph, Tokens.configured(settings))
    sso = SingleSignOn(settings, accounts)
    for path in ("/register", "/user/register"):
        app.add_route(path, Register(accounts))
    for path in ("/login", "/user/login"):
        app.add_route(path, Login(accounts))
    for path in ("/refresh_token", "/user/refresh-token"):
        app.add_route(path, Refresh(accounts))
    app.add_route("/user/me", Me(accounts))
    app.add_route("/user/password", Password(accounts))
    app.add_route("/sso/{platform}/login", SignOn(sso))
    app.add_route("/sso/{platform}/callback", Callback(sso))
    app.add_route("/sso/exchange", Exchange(sso))
    return accounts


class Register:
    """`POST /register`: a new user, logged in."""

    label = "identity/register"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """201 with `username`, `user_id`, `root_id` and the tokens of a login."""
        asked = bodies.read(await _body(req), bodies.Account, bodies.NestedRegistration)
        _answer(req, resp, await self._accounts.register(asked.usernames, asked.password))
        resp.status = falcon.HTTP_201


class Login:
    """`POST /login`: tokens for a username and a password."""

    label = "identity/login"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 with the tokens; 401 for an unknown user and a wrong password alike."""
        asked = bodies.read(await _body(req), bodies.Account, bodies.NestedLogin)
        with _Logged(req):
            _answer(req, resp, await self._accounts.login(asked.username, asked.password, _client(req)))


class Refresh:
    """`POST /refresh_token`: the next pair of tokens; the refresh token that was sent is void from then on."""

    label = "identity/refresh_token"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 with what a login answers."""
        asked = bodies.read(await _body(req), bodies.Refresh, bodies.NestedRefresh)
        with _Logged(req):
            _answer(req, resp, await self._accounts.refresh(asked.refresh_token))


class Me:
    """`GET /user/me`: who the token speaks for."""

    label = "identity/me"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 with `user_id`, `username`, `root_id`, `identities`, `created_at`."""
        _answer(req, resp, await self._accounts.me(_caller(req, self._accounts.tokens)))


class Password:
    """`PUT /user/password`: a new password for who knows the old one."""

    label = "identity/password"

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def on_put(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 with what a login answers; every refresh token from before is void."""
        caller = _caller(req, self._accounts.tokens)
        asked = bodies.read(await _body(req), bodies.NewPassword, bodies.NewPassword)
        with _Logged(req):
            changed = await self._accounts.change_password(caller, asked.current_password, asked.new_password, _client(req))
            _answer(req, resp, changed)


class SignOn:
    """`GET /sso/{platform}/login`: sends the browser to the provider."""

    label = "identity/sso_login"

    def __init__(self, sso: SingleSignOn) -> None:
        self._sso = sso

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, platform: str) -> None:
        """302 to the provider, with the cookie that the callback needs."""
        url, cookie = await self._sso.start(platform, req.get_param("redirect"), req.get_param("code_challenge"))
        resp.set_cookie(
            COOKIE,
            cookie,
            max_age=PENDING_SECONDS,
            path=self._sso.cookie_path,
            secure=self._sso.is_https,
            http_only=True,
            same_site="Lax",  # the callback is a navigation from the provider's site: Strict would keep the cookie back
        )
        _redirect(resp, falcon.HTTP_302, url)


class Callback:
    """`GET /sso/{platform}/callback`: where the provider sends the browser back to."""

    label = "identity/sso_callback"

    def __init__(self, sso: SingleSignOn) -> None:
        self._sso = sso

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, platform: str) -> None:
        """200 with what a login answers, or 303 to the redirect that the start named."""
        query = {name: value for name in QUERY if (value := req.get_param(name)) is not None}
        cookies = req.get_cookie_values(COOKIE)
        resp.unset_cookie(COOKIE, path=self._sso.cookie_path)
        with _Logged(req):
            outcome = await self._sso.finish(platform, query, cookies[0] if cookies else None)
        resp.set_header("Referrer-Policy", "no-referrer")  # this URL has the provider's code in it
        if isinstance(outcome, str):
            _redirect(resp, falcon.HTTP_303, outcome)
        else:
            _answer(req, resp, outcome)


class Exchange:
    """`POST /sso/exchange`: tokens for the code that a client got at its redirect."""

    label = "identity/sso_exchange"

    def __init__(self, sso: SingleSignOn) -> None:
        self._sso = sso

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 with what a login answers."""
        asked = bodies.read(await _body(req), bodies.Exchange, bodies.Exchange)
        with _Logged(req):
            _answer(req, resp, await self._sso.exchange(asked.code, asked.code_verifier))


class _Logged:
    """Refusals inside go to the log with their reason, which the caller never sees. No name, no token, no password."""

    def __init__(self, req: falcon.asgi.Request) -> None:
        self._req = req

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, IdentityError) and error.reason and error.status < 500:  # from 500 on, http/ logs
            where = {"endpoint": self._req.path, "request_id": self._req.context.request_id}
            log("warning", error.what, reason=error.reason, client=_client(self._req).key, **where)


async def _body(req: falcon.asgi.Request) -> bytes:
    sent = await body.read(req, BODY_BYTES)
    body.check_media_type(req)
    return sent


def _answer(req: falcon.asgi.Request, resp: falcon.asgi.Response, data: Mapping[str, Any]) -> None:
    resp.data = answer(data, req.context.request_id)
    resp.content_type = falcon.MEDIA_JSON
    resp.set_header("Cache-Control", "no-store")


def _redirect(resp: falcon.asgi.Response, status: str, url: str) -> None:
    resp.status = status
    resp.set_header("Location", url)
    resp.set_header("Cache-Control", "no-store")


def _client(req: falcon.asgi.Request) -> throttle.Subject:
    return throttle.address(req.remote_addr, req.get_header("X-Forwarded-For") or "")


def _caller(req: falcon.asgi.Request, tokens: Tokens) -> Caller:
    scheme, _, token = (req.get_header("Authorization") or "").partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidToken("no bearer token was sent")
    return tokens.verify(token.strip())
