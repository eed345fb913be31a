"""Identity over HTTP: the same behaviour whether users live in the embedded file or in MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from argon2 import PasswordHasher
from falcon.testing import Result
from msgspec.structs import replace

import servers
from jacfn_runtime.errors import SettingsError
from jacfn_runtime.identity.throttle import account
from jacfn_runtime.identity.tokens import Caller, Tokens
from jacfn_runtime.identity.users import name_key
from jacfn_runtime.memory.errors import StoreUnavailable
from jacfn_runtime.settings import Settings

Serve = Callable[[Settings], AbstractAsyncContextManager[Any]]

ANN = {"username": "Ann", "password": "correct horse battery"}
LOGIN = {"token", "refresh_token", "token_type", "expires_in", "username", "root_id"}


async def post(gateway: Any, path: str, body: Any, **headers: str) -> Result:
    return await gateway.http.simulate_post(path, json=body, headers=headers)


async def registered(gateway: Any, **changed: str) -> dict[str, Any]:
    answer = await post(gateway, "/register", ANN | changed)
    assert answer.status_code == 201
    data: dict[str, Any] = answer.json["data"]
    return data


async def many_failures(gateway: Any) -> None:
    """As many failed logins of Ann as make her wait for minutes."""
    for _ in range(11):
        await gateway.accounts._throttle.failed(account(name_key("ann")))


def error(answer: Result) -> tuple[int, str]:
    assert answer.json["ok"] is False
    assert answer.json["type"] == "error"
    assert answer.json["data"] is None
    return answer.status_code, answer.json["error"]["code"]


async def test_registering_answers_a_login_in_the_envelope(gateway: Any) -> None:
    answer = await post(gateway, "/register", ANN)
    assert answer.status_code == 201
    assert answer.json.keys() == {"ok", "type", "data", "error", "meta"}
    assert answer.json["data"].keys() == LOGIN | {"user_id"}
    assert answer.json["data"]["username"] == "Ann"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_new_user_has_a_root_of_its_own_in_the_graph(gateway: Any) -> None:
    roots = [(await registered(gateway, username=name))["root_id"] for name in ("ann", "bob")]
    reader = gateway.graph.store.reader()
    assert set(reader.nodes(roots)) == set(roots)
    reader.close()
    assert len(set(roots)) == 2


async def test_logging_in_answers_what_the_document_says(gateway: Any) -> None:
    made = await registered(gateway)
    answer = await post(gateway, "/login", ANN | {"username": " aNN "})
    assert answer.status_code == 200
    data = answer.json["data"]
    assert data.keys() == LOGIN
    assert (data["username"], data["root_id"], data["token_type"], data["expires_in"]) == (
        "Ann",
        made["root_id"],
        "Bearer",
        604_800,
    )


async def test_the_token_of_a_login_names_the_user_and_its_root(gateway: Any, stored: Settings) -> None:
    made = await registered(gateway)
    data = (await post(gateway, "/login", ANN)).json["data"]
    caller = Tokens.configured(stored).verify(data["token"])
    assert caller == Caller(made["user_id"], "Ann", made["root_id"])


async def test_a_username_is_taken_in_every_spelling(gateway: Any) -> None:
    await registered(gateway)
    assert error(await post(gateway, "/register", ANN | {"username": "ANN"})) == (409, "USER_EXISTS")


async def test_of_twenty_racing_registrations_one_is_201(gateway: Any) -> None:
    answers = await asyncio.gather(*(post(gateway, "/register", ANN) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    winner = next(answer.json["data"] for answer in answers if answer.status_code == 201)
    assert (await post(gateway, "/login", ANN)).json["data"]["root_id"] == winner["root_id"]


async def test_an_unknown_user_and_a_wrong_password_are_one_answer(gateway: Any) -> None:
    await registered(gateway)
    wrong = await post(gateway, "/login", ANN | {"password": "wrong horse battery"})
    unknown = await post(gateway, "/login", ANN | {"username": "nobody"})
    assert error(wrong) == error(unknown) == (401, "UNAUTHORIZED")
    assert wrong.json["error"] == unknown.json["error"]
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")


async def test_too_many_failures_wait_and_the_right_password_waits_as_well(gateway: Any) -> None:
    await registered(gateway)
    await post(gateway, "/login", ANN | {"password": "wrong horse battery"})
    await many_failures(gateway)
    answer = await post(gateway, "/login", ANN)
    assert error(answer) == (429, "TOO_MANY_REQUESTS")
    assert int(answer.headers["Retry-After"]) >= 1


async def test_guesses_sent_at_once_are_counted_as_well(gateway: Any) -> None:
    await registered(gateway)
    guesses = await asyncio.gather(*(post(gateway, "/login", ANN | {"password": f"wrong horse {n}"}) for n in range(20)))
    assert [guess.status_code for guess in guesses].count(401) <= 10  # 5 on a machine that takes no second for them


async def test_thirty_logins_of_one_user_at_once_all_succeed(gateway: Any) -> None:
    await registered(gateway)
    answers = await asyncio.gather(*(post(gateway, "/login", ANN) for _ in range(30)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_refresh_token_buys_the_next_pair_once(gateway: Any) -> None:
    made = await registered(gateway)
    first = await post(gateway, "/refresh_token", {"refresh_token": made["refresh_token"]})
    assert first.status_code == 200
    assert first.json["data"].keys() == LOGIN
    assert first.json["data"]["root_id"] == made["root_id"]
    second = await post(gateway, "/refresh_token", {"refresh_token": first.json["data"]["refresh_token"]})
    assert second.status_code == 200


async def test_a_refresh_token_that_is_used_twice_revokes_its_family(gateway: Any) -> None:
    made = await registered(gateway)
    other = (await post(gateway, "/login", ANN)).json["data"]
    stolen = made["refresh_token"]
    following = (await post(gateway, "/refresh_token", {"refresh_token": stolen})).json["data"]["refresh_token"]
    assert error(await post(gateway, "/refresh_token", {"refresh_token": stolen})) == (401, "UNAUTHORIZED")
    assert error(await post(gateway, "/refresh_token", {"refresh_token": following})) == (401, "UNAUTHORIZED")
    assert (await post(gateway, "/refresh_token", {"refresh_token": other["refresh_token"]})).status_code == 200


async def test_of_racing_refreshes_one_succeeds_at_most(gateway: Any) -> None:
    made = await registered(gateway)
    answers = await asyncio.gather(
        *(post(gateway, "/refresh_token", {"refresh_token": made["refresh_token"]}) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9


async def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing(gateway: Any) -> None:
    made = await registered(gateway)
    assert error(await post(gateway, "/refresh_token", {"refresh_token": made["token"]})) == (401, "UNAUTHORIZED")
    me = await gateway.http.simulate_get("/user/me", headers={"Authorization": f"Bearer {made['refresh_token']}"})
    assert error(me) == (401, "UNAUTHORIZED")


async def test_me_says_who_the_token_speaks_for(gateway: Any) -> None:
    made = await registered(gateway)
    answer = await gateway.http.simulate_get("/user/me", headers={"Authorization": f"Bearer {made['token']}"})
    assert answer.status_code == 200
    data = answer.json["data"]
    assert (data["user_id"], data["username"], data["root_id"]) == (made["user_id"], "Ann", made["root_id"])
    assert data["identities"] == [{"type": "username", "value": "ann"}]
    assert "argon2" not in answer.text


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer x.y.z", "bearer \u00e9"])
async def test_me_is_nobody_without_a_good_token(serve: Serve, embedded: Settings, authorization: str | None) -> None:
    async with serve(embedded) as gateway:
        headers = {} if authorization is None else {"Authorization": authorization}
        assert error(await gateway.http.simulate_get("/user/me", headers=headers)) == (401, "UNAUTHORIZED")


async def test_a_password_is_changed_by_who_knows_the_old_one(gateway: Any) -> None:
    made = await registered(gateway)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    new = {"current_password": ANN["password"], "new_password": "staple tractor umbrella"}
    wrong = await gateway.http.simulate_put("/user/password", json=new | {"current_password": "wrong horse"}, headers=bearer)
    assert error(wrong) == (401, "UNAUTHORIZED")
    changed = await gateway.http.simulate_put("/user/password", json=new, headers=bearer)
    assert changed.status_code == 200
    assert error(await post(gateway, "/login", ANN)) == (401, "UNAUTHORIZED")
    assert (await post(gateway, "/login", ANN | {"password": new["new_password"]})).status_code == 200


async def test_a_new_password_voids_every_refresh_token_from_before(gateway: Any) -> None:
    made = await registered(gateway)
    new = {"current_password": ANN["password"], "new_password": "staple tractor umbrella"}
    changed = await gateway.http.simulate_put("/user/password", json=new, headers={"Authorization": f"Bearer {made['token']}"})
    assert error(await post(gateway, "/refresh_token", {"refresh_token": made["refresh_token"]})) == (401, "UNAUTHORIZED")
    follow = await post(gateway, "/refresh_token", {"refresh_token": changed.json["data"]["refresh_token"]})
    assert follow.status_code == 200


async def test_a_new_password_obeys_the_rules(gateway: Any) -> None:
    made = await registered(gateway)
    answer = await gateway.http.simulate_put(
        "/user/password",
        json={"current_password": ANN["password"], "new_password": "short"},
        headers={"Authorization": f"Bearer {made['token']}"},
    )
    assert error(answer) == (422, "INVALID_ARGUMENTS")
    assert answer.json["error"]["details"][0]["path"] == "body.new_password"


async def test_the_incumbents_paths_and_bodies_work(gateway: Any) -> None:
    credential = {"type": "password", "password": ANN["password"]}
    names = [{"type": "username", "value": "ann"}, {"type": "email", "value": "ann@example.org"}]
    made = await post(gateway, "/user/register", {"identities": names, "credential": credential})
    assert made.status_code == 201
    for name in names:
        login = await post(gateway, "/user/login", {"identity": name, "credential": credential})
        assert login.json["data"]["root_id"] == made.json["data"]["root_id"]
    refreshed = await post(gateway, "/user/refresh-token", {"token": login.json["data"]["refresh_token"]})
    assert refreshed.status_code == 200


async def test_a_hash_with_older_parameters_is_renewed_by_a_login(gateway: Any) -> None:
    await registered(gateway)
    users = gateway.accounts.users
    user = await users.by_key(name_key("ann"))
    await users.set_password(user, PasswordHasher(1, 8192, 1).hash(ANN["password"]), epoch=user.epoch)
    assert (await post(gateway, "/login", ANN)).status_code == 200
    renewed = await users.by_key(name_key("ann"))
    assert renewed.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await post(gateway, "/login", ANN)).status_code == 200


async def test_a_crash_between_user_and_root_is_healed_by_the_next_login(gateway: Any) -> None:
    """As if the process had died after the user was stored: the graph is away at that moment."""

    async def away(root_id: str) -> None:
        raise StoreUnavailable("The graph", "it is away")

    graph, gateway.accounts._graph = gateway.accounts._graph, type("Away", (), {"create_root": staticmethod(away)})()
    assert error(await post(gateway, "/register", ANN)) == (503, "UNAVAILABLE")
    gateway.accounts._graph = graph
    data = (await post(gateway, "/login", ANN)).json["data"]
    reader = gateway.graph.store.reader()
    assert set(reader.nodes([data["root_id"]])) == {data["root_id"]}
    reader.close()


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"username": "ann"}, "body.password"),
        ({"username": "", "password": "correct horse"}, "body.username"),
        ({"username": "ann\u0000", "password": "correct horse"}, "body.username"),
        ({"username": "ann", "password": "short"}, "body.password"),
        ({"username": "ann", "password": "x" * 1025}, "body.password"),
        ({"username": "correct horse", "password": "Correct Horse"}, "body.password"),
        ({"username": "ann", "password": "correct horse", "is_admin": True}, "body.is_admin"),
        ({"username": ["ann"], "password": "correct horse"}, "body.username"),
    ],
)
async def test_a_registration_that_cannot_be_names_the_field(serve: Serve, embedded: Settings, body: Any, path: str) -> None:
    async with serve(embedded) as gateway:
        answer = await post(gateway, "/register", body)
        assert error(answer) == (422, "INVALID_ARGUMENTS")
        assert path in [detail["path"] for detail in answer.json["error"]["details"]]
        assert str(body.get("password")) not in answer.text or body.get("password") is None


@pytest.mark.parametrize("path", ["/register", "/login", "/refresh_token"])
async def test_bodies_that_are_none_are_refused(serve: Serve, embedded: Settings, path: str) -> None:
    async with serve(embedded) as gateway:
        http = gateway.http
        assert error(await http.simulate_post(path, body=b"{", headers={"Content-Type": "application/json"}))[0] == 400
        assert error(await http.simulate_post(path, body=b"a=b", headers={"Content-Type": "text/plain"}))[0] == 415
        assert error(await http.simulate_post(path, body=b" " * 40_000, headers={"Content-Type": "application/json"}))[0] == 413
        assert error(await http.simulate_post(path))[0] == 422
        assert error(await http.simulate_get(path))[0] == 405


@pytest.mark.usefixtures("cut_off")
async def test_a_mongodb_that_is_away_is_503_with_retry_after(serve: Serve, embedded: Settings) -> None:
    away = replace(embedded, mongodb_uri=f"mongodb://127.0.0.1:{servers.free_port()}/jac_db")
    async with serve(away) as gateway:
        answer = await post(gateway, "/login", ANN)
        assert error(answer) == (503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
        assert "127.0.0.1" not in answer.text


async def test_redis_counts_failures_for_all_gateways(serve: Serve, embedded: Settings, redis: servers.Server) -> None:
    settings = replace(embedded, redis_url=redis.url, app="two-gateways")
    async with serve(settings) as one, serve(settings) as other:
        await many_failures(one)
        assert error(await post(other, "/login", ANN)) == (429, "TOO_MANY_REQUESTS")


async def test_a_gateway_in_a_cluster_without_a_secret_does_not_start(serve: Serve, embedded: Settings) -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        async with serve(replace(embedded, mongodb_uri="mongodb://db/jac_db", jwt_secret="")):
            pass


async def test_no_secret_is_in_the_log(gateway: Any, capfd: pytest.CaptureFixture[str]) -> None:
    made = await registered(gateway)
    await post(gateway, "/login", ANN | {"password": "wrong horse battery"})
    await post(gateway, "/refresh_token", {"refresh_token": made["token"]})
    logged = "".join(capfd.readouterr())
    assert "wrong password" in logged
    assert not [secret for secret in ("horse", made["token"], made["refresh_token"], "argon2", "Ann") if secret in logged]
