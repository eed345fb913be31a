"""Single sign-on against a real provider process, and what happens when somebody meddles with it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from falcon.testing import Result
from msgspec.structs import replace

import servers
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.identity.routes import COOKIE
from jacfn_runtime.settings import Settings, SsoClient

Serve = Callable[[Settings], AbstractAsyncContextManager[Any]]

HOST = "http://shop.example/sso"
FRONT = "https://front.example/signed-on"


@pytest.fixture
def configured(embedded: Settings, provider: servers.Server) -> Settings:
    client = SsoClient("shop", "shop-secret", provider.url)
    return replace(embedded, sso_host=HOST, sso={"google": client}, sso_redirects=(FRONT, "shop.app:/signed-on"))


async def sign_on(url: str, username: str = "ann", password: str = "annannann") -> dict[str, str]:
    """What a person does in a browser at the provider; the query that it sends back with the browser."""
    async with httpx2.AsyncClient(follow_redirects=False, timeout=20) as browser:
        page = await browser.get(url)
        found = re.search(r'name="transaction_id" value="([^"]+)"', page.text)
        assert found, page.text[:500]
        answer = await browser.post(url, data={"transaction_id": found[1], "username": username, "password": password})
        assert answer.status_code in (302, 303), answer.text[:500]
        location = urlsplit(answer.headers["Location"])
        assert f"{location.scheme}://{location.netloc}{location.path}" == f"{HOST}/google/callback"
        return {name: values[0] for name, values in parse_qs(location.query).items()}


async def started(gateway: Any, **query: str) -> tuple[str, str]:
    """The URL that the browser is sent to, and its cookie."""
    answer = await gateway.http.simulate_get("/sso/google/login", params=query)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"], answer.cookies[COOKIE].value


async def finished(gateway: Any, query: dict[str, str], cookie: str | None) -> Result:
    headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
    return await gateway.http.simulate_get("/sso/google/callback", params=query, headers=headers)


def refused(answer: Result) -> bool:
    return answer.status_code == 401 and answer.json["error"]["code"] == "SSO_FAILED" and answer.json["data"] is None


async def test_signing_on_answers_what_a_login_answers(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        answer = await finished(gateway, await sign_on(url), cookie)
        assert answer.status_code == 200, answer.text
        data = answer.json["data"]
        assert data.keys() == {"token", "refresh_token", "token_type", "expires_in", "username", "root_id"}
        assert data["username"] == "ann@example.org"
        me = await gateway.http.simulate_get("/user/me", headers={"Authorization": f"Bearer {data['token']}"})
        assert me.json["data"]["identities"] == [{"type": "sso", "value": configured.sso["google"].issuer}]
        reader = gateway.graph.store.reader()
        assert set(reader.nodes([data["root_id"]])) == {data["root_id"]}
        reader.close()
        refreshed = await gateway.http.simulate_post("/refresh_token", json={"refresh_token": data["refresh_token"]})
        assert refreshed.status_code == 200


async def test_the_same_person_has_the_same_root_next_time(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        roots = []
        for _ in range(2):
            url, cookie = await started(gateway)
            roots.append((await finished(gateway, await sign_on(url), cookie)).json["data"]["root_id"])
        assert roots[0] == roots[1]


async def test_one_person_in_two_tabs_at_once_is_one_user(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        tabs = [await started(gateway) for _ in range(3)]
        queries = [await sign_on(url) for url, _ in tabs]
        answers = await asyncio.gather(
            *(finished(gateway, query, cookie) for query, (_, cookie) in zip(queries, tabs, strict=True))
        )
        assert len({answer.json["data"]["root_id"] for answer in answers}) == 1


async def test_an_account_of_the_same_name_is_never_taken_over(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        account = {"username": "ann@example.org", "password": "correct horse battery"}
        made = await gateway.http.simulate_post("/register", json=account)
        url, cookie = await started(gateway)
        signed_on = await finished(gateway, await sign_on(url), cookie)
        assert signed_on.json["data"]["root_id"] != made.json["data"]["root_id"]
        login = await gateway.http.simulate_post("/login", json=account)
        assert login.json["data"]["root_id"] == made.json["data"]["root_id"]


async def test_no_password_opens_a_single_sign_on_identity(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        data = (await finished(gateway, await sign_on(url), cookie)).json["data"]
        for username in ("ann@example.org", "ann"):
            answer = await gateway.http.simulate_post("/login", json={"username": username, "password": "annannann"})
            assert answer.status_code == 401
        answer = await gateway.http.simulate_put(
            "/user/password",
            json={"current_password": "", "new_password": "correct horse battery"},
            headers={"Authorization": f"Bearer {data['token']}"},
        )
        assert answer.status_code == 401


async def test_the_browser_is_sent_off_with_pkce_state_and_nonce(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, _ = await started(gateway)
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (query["response_type"], query["client_id"], query["scope"]) == ("code", "shop", "openid email")
        assert (query["redirect_uri"], query["code_challenge_method"]) == (f"{HOST}/google/callback", "S256")
        assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 43
        again = parse_qs(urlsplit((await started(gateway))[0]).query)
        assert not [name for name in ("state", "nonce", "code_challenge") if again[name][0] == query[name]]


@pytest.mark.parametrize(("host", "secure"), [(HOST, False), ("https://shop.example/sso", True)])
async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(
    serve: Serve, configured: Settings, host: str, secure: bool
) -> None:
    async with serve(replace(configured, sso_host=host)) as gateway:
        answer = await gateway.http.simulate_get("/sso/google/login")
        cookie = answer.cookies[COOKIE]
        assert (cookie.http_only, cookie.same_site, cookie.path, cookie.secure) == (True, "Lax", "/sso", secure)
        assert 0 < (cookie.max_age or 0) <= 600
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_callback_without_the_cookie_is_refused(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, _ = await started(gateway)
        assert refused(await finished(gateway, await sign_on(url), None))


async def test_a_callback_in_another_browser_is_refused(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, _ = await started(gateway)
        _, others = await started(gateway)
        assert refused(await finished(gateway, await sign_on(url), others))


async def test_a_callback_is_good_once(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        query = await sign_on(url)
        assert (await finished(gateway, query, cookie)).status_code == 200
        assert refused(await finished(gateway, query, cookie))


async def test_a_code_of_another_sign_on_is_refused_by_its_verifier(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        theirs, _ = await started(gateway)
        mine, cookie = await started(gateway)
        injected = await sign_on(mine) | {"code": (await sign_on(theirs))["code"]}
        assert refused(await finished(gateway, injected, cookie))


@pytest.mark.parametrize(
    "changed",
    [{"state": "x"}, {"state": ""}, {"code": "x"}, {"code": "x" * 5000}, {"iss": "https://evil.example"}, {"state": "\u00e9"}],
)
async def test_a_callback_that_was_changed_on_its_way_is_refused(
    serve: Serve, configured: Settings, changed: dict[str, str]
) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        assert refused(await finished(gateway, await sign_on(url) | changed, cookie))


async def test_a_cookie_that_was_changed_is_refused(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        query = await sign_on(url)
        for changed in (cookie[:-2] + ("AA" if cookie[-2:] != "AA" else "BB"), "x", gateway.accounts.tokens.seal("code", {}, 60)):
            assert refused(await finished(gateway, query, changed))


async def test_a_person_who_declines_is_told_to_start_again(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        state = parse_qs(urlsplit(url).query)["state"][0]
        assert refused(await finished(gateway, {"error": "access_denied", "state": state}, cookie))


async def test_a_wrong_client_secret_is_refused(serve: Serve, configured: Settings, provider: servers.Server) -> None:
    wrong = replace(configured, sso={"google": SsoClient("shop", "not-the-secret", provider.url)})
    async with serve(wrong) as gateway:
        url, cookie = await started(gateway)
        answer = await finished(gateway, await sign_on(url), cookie)
        assert refused(answer)
        assert "not-the-secret" not in answer.text


async def test_a_public_client_signs_on_without_a_secret(serve: Serve, configured: Settings, provider: servers.Server) -> None:
    public = replace(configured, sso={"google": SsoClient("public", "", provider.url)})
    async with serve(public) as gateway:
        url, cookie = await started(gateway)
        assert (await finished(gateway, await sign_on(url), cookie)).status_code == 200


async def test_a_cookie_of_one_platform_is_no_good_for_another(
    serve: Serve, configured: Settings, provider: servers.Server
) -> None:
    both = replace(configured, sso={"google": configured.sso["google"], "okta": configured.sso["google"]})
    async with serve(both) as gateway:
        url, cookie = await started(gateway)
        query = await sign_on(url)
        answer = await gateway.http.simulate_get("/sso/okta/callback", params=query, headers={"Cookie": f"{COOKIE}={cookie}"})
        assert refused(answer)


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


async def code_at_front(gateway: Any, verifier: str, redirect: str = FRONT) -> str:
    url, cookie = await started(gateway, redirect=redirect, code_challenge=challenge(verifier))
    answer = await finished(gateway, await sign_on(url), cookie)
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location.startswith(f"{redirect}?code=")
    return parse_qs(urlsplit(location).query)["code"][0]


@pytest.mark.parametrize("redirect", [FRONT, "shop.app:/signed-on"])
async def test_a_client_gets_a_code_at_its_redirect_and_exchanges_it(serve: Serve, configured: Settings, redirect: str) -> None:
    async with serve(configured) as gateway:
        verifier = "v" * 43
        body = {"code": await code_at_front(gateway, verifier, redirect), "code_verifier": verifier}
        answer = await gateway.http.simulate_post("/sso/exchange", json=body)
        assert answer.status_code == 200
        assert answer.json["data"]["username"] == "ann@example.org"
        again = await gateway.http.simulate_post("/sso/exchange", json=body)
        assert again.status_code == 401
        refresh = await gateway.http.simulate_post("/refresh_token", json={"refresh_token": answer.json["data"]["refresh_token"]})
        assert refresh.status_code == 401  # the code was stolen by one of the two: the family is revoked


async def test_a_code_is_worth_nothing_to_who_intercepts_it(serve: Serve, configured: Settings) -> None:
    async with serve(configured) as gateway:
        code = await code_at_front(gateway, "v" * 43)
        answer = await gateway.http.simulate_post("/sso/exchange", json={"code": code, "code_verifier": "w" * 43})
        assert answer.status_code == 401
        for path, body in (("/refresh_token", {"refresh_token": code}),):
            assert (await gateway.http.simulate_post(path, json=body)).status_code == 401
        assert (await gateway.http.simulate_get("/user/me", headers={"Authorization": f"Bearer {code}"})).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {"redirect": "https://evil.example"}, {"redirect": f"{FRONT}/"}, {"redirect": f"{FRONT}?x"}, {"redirect": ""},
        {"redirect": FRONT}, {"redirect": FRONT, "code_challenge": "short"},
    ],
)  # fmt: skip
async def test_no_browser_is_sent_where_the_settings_do_not_allow(
    serve: Serve, configured: Settings, query: dict[str, str]
) -> None:
    async with serve(configured) as gateway:
        answer = await gateway.http.simulate_get("/sso/google/login", params=query)
        assert answer.status_code == 422
        assert answer.json["error"]["details"][0]["path"].startswith("query.")


async def test_an_unknown_platform_is_404_and_one_without_a_client_501(serve: Serve, embedded: Settings) -> None:
    async with serve(embedded) as gateway:
        for operation in ("login", "callback"):
            unknown = await gateway.http.simulate_get(f"/sso/nowhere/{operation}")
            assert (unknown.status_code, unknown.json["error"]["code"]) == (404, "NOT_FOUND")
            missing = await gateway.http.simulate_get(f"/sso/google/{operation}")
            assert (missing.status_code, missing.json["error"]["code"]) == (501, "SSO_NOT_CONFIGURED")


async def test_a_client_without_a_host_is_not_configured(serve: Serve, configured: Settings) -> None:
    async with serve(replace(configured, sso_host="")) as gateway:
        assert (await gateway.http.simulate_get("/sso/google/login")).status_code == 501


async def test_a_provider_that_is_away_is_503_with_retry_after(serve: Serve, configured: Settings) -> None:
    away = SsoClient("shop", "shop-secret", f"http://127.0.0.1:{servers.free_port()}")
    async with serve(replace(configured, sso={"google": away})) as gateway:
        answer = await gateway.http.simulate_get("/sso/google/login")
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
        assert "127.0.0.1" not in answer.text


async def test_a_provider_that_says_it_is_another_is_not_believed(
    serve: Serve, configured: Settings, provider: servers.Server
) -> None:
    other = SsoClient("shop", "shop-secret", provider.url.replace("127.0.0.1", "localhost"))
    async with serve(replace(configured, sso={"google": other})) as gateway:
        assert (await gateway.http.simulate_get("/sso/google/login")).status_code == 503


async def test_a_platform_that_nobody_knows_and_no_issuer_is_501_with_a_warning(
    serve: Serve, embedded: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serve(replace(embedded, sso_host=HOST, sso={"github": SsoClient("id", "secret")})) as gateway:
        assert "SSO_GITHUB_ISSUER" in capfd.readouterr().err
        assert (await gateway.http.simulate_get("/sso/github/login")).status_code == 501


async def test_google_needs_no_issuer(serve: Serve, embedded: Settings) -> None:
    async with serve(replace(embedded, sso_host=HOST, sso={"google": SsoClient("id", "secret")})) as gateway:
        assert gateway.http is not None


@pytest.mark.parametrize(
    ("host", "client", "named"),
    [
        (HOST, SsoClient("id", "secret", "idp.example"), "SSO_OKTA_ISSUER"),
        ("shop.example/sso", SsoClient("id", "secret", "https://idp.example"), "SSO_HOST"),
        ("ftp://shop.example", SsoClient("id", "secret", "https://idp.example"), "SSO_HOST"),
    ],
)
async def test_settings_that_cannot_work_are_refused_at_the_start(
    serve: Serve, embedded: Settings, host: str, client: SsoClient, named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        async with serve(replace(embedded, sso_host=host, sso={"okta": client})):
            pass


async def test_no_secret_is_in_the_log(serve: Serve, configured: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    async with serve(configured) as gateway:
        url, cookie = await started(gateway)
        query = await sign_on(url)
        await finished(gateway, query, cookie)
        await finished(gateway, query, cookie)
        logged = "".join(capfd.readouterr())
        assert "Single sign-on failed" in logged
        assert not [secret for secret in ("shop-secret", query["code"], query["state"], cookie, "ann@") if secret in logged]
