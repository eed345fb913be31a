"""What every user store has to do: the same for the embedded file and for MongoDB."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

import servers
from jacfn_runtime.identity.errors import UserExists
from jacfn_runtime.identity.mongo import MongoUsers
from jacfn_runtime.identity.sqlite import SqliteUsers
from jacfn_runtime.identity.tokens import Grant
from jacfn_runtime.identity.users import Family, User, Users, name_key, open_users, sso_key
from jacfn_runtime.memory.errors import StoreRefused, StoreUnavailable
from jacfn_runtime.memory.graph import Graph
from jacfn_runtime.memory.open import open_store
from jacfn_runtime.settings import Settings


def user(name: str = "Ann") -> User:
    return User(uuid4().hex, (name_key(name),), name, uuid4().hex, "$argon2id$hash", created=1_700_000_000.0)


def family(of: User, **changed: float) -> Family:
    return Family(Grant.new(), of.id, of.epoch, changed.get("expires", time.time() + 3600))


async def reachable(place: Users) -> None:
    """Return when the store answers again; the driver may need a moment to see it."""
    for _ in range(10):
        with contextlib.suppress(StoreUnavailable):
            assert await place.by_id("a") is None
            return
    raise AssertionError("the store did not come back")


async def test_a_user_is_found_by_key_and_by_id_as_it_was_added(users: Users) -> None:
    ann = user()
    await users.add(ann)
    assert await users.by_key(name_key("ANN")) == ann
    assert await users.by_id(ann.id) == ann


async def test_who_was_never_added_is_not_found(users: Users) -> None:
    assert await users.by_key(name_key("nobody")) is None
    assert await users.by_id(uuid4().hex) is None


async def test_a_key_is_taken_once(users: Users) -> None:
    first = user("ann")
    await users.add(first)
    with pytest.raises(UserExists):
        await users.add(user("ANN"))
    assert await users.by_key(name_key("ann")) == first


async def test_a_user_with_two_keys_is_found_by_both_and_takes_both(users: Users) -> None:
    ann = replace(user(), keys=(name_key("ann"), name_key("ann@example.org")))
    await users.add(ann)
    found = [await users.by_key(key) for key in ann.keys]
    assert [set(one.keys) for one in found if one] == [set(ann.keys)] * 2
    with pytest.raises(UserExists):
        await users.add(replace(user(), keys=(name_key("other"), name_key("ann@example.org"))))
    assert await users.by_key(name_key("other")) is None


async def test_of_twenty_racing_adds_one_succeeds(users: Users) -> None:
    racers = [user("ann") for _ in range(20)]
    outcomes = await asyncio.gather(*(users.add(racer) for racer in racers), return_exceptions=True)
    winners = [racer for racer, outcome in zip(racers, outcomes, strict=True) if outcome is None]
    assert [type(outcome) for outcome in outcomes].count(UserExists) == 19
    assert await users.by_key(name_key("ann")) == winners[0]


async def test_a_single_sign_on_identity_never_meets_a_username(users: Users) -> None:
    signed_on = replace(user(), keys=(sso_key("https://idp.example", "ann"),), username="ann")
    await users.add(signed_on)
    await users.add(user("ann"))
    assert await users.by_key(sso_key("https://idp.example", "ann")) == signed_on


async def test_text_of_any_language_is_kept_as_it_is(users: Users) -> None:
    added = replace(user("Ünïcode 名前 🦑 'quoted' $where {}"), password="$argon2id$ä")
    await users.add(added)
    assert await users.by_id(added.id) == added


async def test_a_password_is_exchanged_once_for_what_was_read(users: Users) -> None:
    ann = user()
    await users.add(ann)
    assert await users.set_password(ann, "$new", epoch=1)
    assert not await users.set_password(ann, "$other", epoch=1)  # it was read before the first change
    assert await users.by_id(ann.id) == replace(ann, password="$new", epoch=1)


async def test_of_racing_password_changes_one_succeeds(users: Users) -> None:
    ann = user()
    await users.add(ann)
    outcomes = await asyncio.gather(*(users.set_password(ann, f"$new{number}", epoch=1) for number in range(8)))
    assert sorted(outcomes) == [False] * 7 + [True]


async def test_a_family_rotates_from_its_latest_serial_only(users: Users) -> None:
    first = family(user())
    await users.add_family(first)
    assert await users.rotate(first, "b" * 32, time.time() + 3600)
    assert not await users.rotate(first, "c" * 32, time.time() + 3600)
    assert await users.rotate(replace(first, grant=replace(first.grant, serial="b" * 32)), "c" * 32, time.time() + 3600)


async def test_of_racing_rotations_one_succeeds(users: Users) -> None:
    first = family(user())
    await users.add_family(first)
    outcomes = await asyncio.gather(*(users.rotate(first, uuid4().hex, time.time() + 3600) for _ in range(8)))
    assert sorted(outcomes) == [False] * 7 + [True]


async def test_a_family_of_another_user_or_epoch_does_not_rotate(users: Users) -> None:
    first = family(user())
    await users.add_family(first)
    assert not await users.rotate(replace(first, user_id=uuid4().hex), "b" * 32, time.time() + 3600)
    assert not await users.rotate(replace(first, epoch=1), "b" * 32, time.time() + 3600)
    assert not await users.rotate(replace(first, grant=Grant.new()), "b" * 32, time.time() + 3600)


async def test_a_revoked_family_does_not_rotate(users: Users) -> None:
    first = family(user())
    await users.add_family(first)
    await users.revoke(first.grant.family)
    assert not await users.rotate(first, "b" * 32, time.time() + 3600)


async def test_two_processes_see_each_other(stored: Settings, graph: Graph, users: Users) -> None:
    ann = user()
    await users.add(ann)
    other = open_users(stored, graph)
    assert await other.by_id(ann.id) == ann
    await other.close()


async def test_users_outlive_the_process(stored: Settings, graph: Graph) -> None:
    ann = user()
    first = open_users(stored, graph)
    await first.add(ann)
    await first.close()
    second = open_users(stored, graph)
    assert await second.by_id(ann.id) == ann
    await second.close()


async def test_an_embedded_file_forgets_expired_families(tmp_path: Path) -> None:
    place = SqliteUsers(tmp_path / "store.db")
    old = family(user(), expires=time.time() - 1)
    await place.add_family(old)
    await place.add_family(family(user()))
    assert not await place.rotate(old, "b" * 32, time.time() + 3600)


async def test_an_embedded_file_is_its_owners_alone(tmp_path: Path) -> None:
    place = SqliteUsers(tmp_path / "data" / "store.db")
    await place.add(user())
    assert place.path.stat().st_mode & 0o777 == 0o600


async def test_an_embedded_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    place = SqliteUsers(tmp_path / "store.db")
    await place.add(user())
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    with pytest.raises(StoreUnavailable):
        await place.add(user())
    await place.add(user())


async def test_an_embedded_file_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="embedded store"):
        await SqliteUsers(tmp_path / "file" / "store.db").by_id("a")


@pytest.mark.usefixtures("cut_off")
async def test_a_mongodb_that_is_away_or_hangs_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    with servers.mongodb(tmp_path) as server:
        place = MongoUsers(server.url.replace("/?", "/identity?"), "shop")
        server.stop(kill=True)
        with pytest.raises(StoreUnavailable, match="MongoDB"):
            await place.by_id("a")
        server.start()
        await reachable(place)
        server.pause()
        with pytest.raises(StoreUnavailable, match="MongoDB"):
            await place.by_id("a")
        server.resume()
        await reachable(place)
        await place.close()
        server.stop(kill=True)  # there is nothing to lose, and an orderly end takes it ten seconds


@pytest.mark.usefixtures("cut_off")
async def test_what_mongodb_says_never_shows_the_password() -> None:
    place = MongoUsers(f"mongodb://jac:topsecret@127.0.0.1:{servers.free_port()}/jac_db", "shop")
    with pytest.raises(StoreUnavailable) as caught:
        await place.by_id("a")
    assert "topsecret" not in str(caught.value) + repr(place)
    await place.close()


@pytest.mark.usefixtures("cut_off")
async def test_a_mongodb_uri_that_is_none_is_refused_and_never_repeated() -> None:
    place = MongoUsers("mongodb://jac:top%secret@db/jac_db", "shop")
    with pytest.raises(StoreRefused) as caught:
        await place.by_id("a")
    assert "secret" not in str(caught.value)


async def test_a_database_of_another_app_is_refused(mongodb: servers.Server) -> None:
    uri = mongodb.url.replace("/?", f"/identity_{uuid4().hex}?")
    owner = Graph.open(Settings(bundle=Path(), mongodb_uri=uri, app="shop"))
    await owner.prepare()
    await owner.close()
    place = MongoUsers(uri, "other")
    with pytest.raises(StoreRefused, match="belongs to the app shop"):
        await place.add(user())
    await place.close()


async def test_a_laptop_that_may_fall_back_keeps_users_where_the_graph_is(mongodb: servers.Server, tmp_path: Path) -> None:
    away = f"mongodb://127.0.0.1:{servers.free_port()}/jac_db"
    there = mongodb.url.replace("/?", f"/identity_{uuid4().hex}?")
    for uri, embedded in ((away, True), (there, False)):
        settings = Settings(bundle=tmp_path, mongodb_uri=uri, on_unavailable="embedded", shelf_db_path=tmp_path / "store.db")
        graph = Graph(open_store(settings))
        place, ann = open_users(settings, graph), user(uuid4().hex)
        await place.add(ann)
        assert (await SqliteUsers(tmp_path / "store.db").by_id(ann.id) == ann) is embedded
        assert await place.by_id(ann.id) == ann
        await place.close()
        await graph.close()
