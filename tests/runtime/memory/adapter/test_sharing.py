"""Who may do what: jaclang's rules hold through the store, and what is refused is refused aloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jacfn_runtime.memory.errors import AccessDenied, NodeNotFound
from jacfn_runtime.memory.graph import GUEST_ROOT, Graph
from jacfn_runtime.program.load import Program

ALICE, BOB = "a" * 32, "b" * 32


@pytest.fixture
async def people(graph: Graph, program: Callable[[str], Program], user: Any) -> tuple[Any, Any, Any]:
    """Alice, Bob and a guest."""
    for root in (ALICE, BOB):
        await graph.create_root(root)
    sharing = program("sharing")
    return user(sharing, ALICE), user(sharing, BOB), user(sharing, GUEST_ROOT)


async def test_a_note_is_its_owners_alone(people: Any) -> None:
    alice, bob, guest = people
    (note,) = await alice.walk("write", text="secret")
    assert await alice.walk("read", node=note) == ["secret"]
    for other in (bob, guest):
        for walker in ("read", "edit", "attach", "remove"):
            with pytest.raises(NodeNotFound):
                await other.walk(walker, node=note, **({"text": "x"} if walker == "edit" else {}))
    assert await alice.walk("children", node=note) == [[]]


async def test_a_forbidden_node_a_missing_one_and_a_malformed_id_are_the_same_error(people: Any) -> None:
    alice, bob, guest = people
    (note,) = await alice.walk("write", text="secret")
    for caller in (bob, guest):
        for node in (note, note.upper(), "f" * 32, "0" * 32, ALICE, "not an id", "", "../" + note, "ﬀ" * 16):
            with pytest.raises(NodeNotFound) as caught:
                await caller.walk("read", node=node)
            assert caught.value.what == "There is no such node"


async def test_a_guessed_id_finds_nothing(people: Any) -> None:
    alice, bob, guest = people
    (note,) = await alice.walk("write", text="secret")
    for caller in (bob, guest):
        assert await caller.walk("look_up", id=note) == [None]
        assert await caller.walk("look_up_in_a_flow", id=note) == [[None, caller.root]]
    assert await alice.walk("look_up_in_a_flow", id=note) == [["secret", ALICE]]


@pytest.mark.parametrize(
    ("level", "can"),
    [("READ", {"read"}), ("CONNECT", {"read", "attach"}), ("WRITE", {"read", "attach", "edit", "remove"})],
)
@pytest.mark.parametrize("way", ["all", "one", "root"])
async def test_a_grant_gives_its_level_and_no_more(people: Any, level: str, can: set[str], way: str) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    if way == "all":
        await alice.walk("share", node=note, level=level)
    elif way == "one":
        await alice.walk("share_with", node=note, who=BOB, level=level)
    else:
        await alice.walk("share_everything_with", who=BOB, level=level)
    for walker in ("read", "attach", "edit", "remove"):
        fields = {"text": "changed"} if walker == "edit" else {}
        if walker in can:
            assert await bob.walk(walker, node=note, **fields)
        else:
            with pytest.raises(AccessDenied):
                await bob.walk(walker, node=note, **fields)


async def test_a_revoked_grant_is_over(people: Any) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    await alice.walk("share", node=note, level="READ")
    await alice.walk("share_with", node=note, who=BOB, level="WRITE")
    await alice.walk("unshare_with", node=note, who=BOB)
    assert await bob.walk("read", node=note) == ["shared"]
    await alice.walk("unshare", node=note)
    with pytest.raises(NodeNotFound):
        await bob.walk("read", node=note)


async def test_only_who_may_write_may_grant(people: Any) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    await alice.walk("share", node=note, level="CONNECT")
    with pytest.raises(AccessDenied):
        await bob.walk("share", node=note, level="WRITE")


async def test_a_class_decides_for_itself(people: Any) -> None:
    alice, bob, _ = people
    (public,) = await alice.walk("write", text="public", board=True)
    (private,) = await alice.walk("write", text="private", board=True)
    assert await bob.walk("read", node=public) == ["public"]
    with pytest.raises(NodeNotFound):
        await bob.walk("read", node=private)


async def test_a_refused_write_leaves_nothing_behind(people: Any) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    await alice.walk("share", node=note, level="READ")
    with pytest.raises(AccessDenied, match="field_write on Note"):
        await bob.walk("edit", node=note, text="changed")
    assert await alice.walk("read", node=note) == ["shared"]


async def test_a_program_may_catch_a_refusal(people: Any) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    await alice.walk("share", node=note, level="READ")
    assert await bob.walk("attach_quietly", node=note) == ["refused"]


async def test_an_owner_deletes_what_others_hung_on_their_node(people: Any) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    await alice.walk("share", node=note, level="CONNECT")
    await bob.walk("attach", node=note)
    assert await alice.walk("children", node=note) == [[]]  # the child is Bob's
    assert await alice.walk("remove", node=note) == ["removed"]
    assert (await alice.graph.inspect()).sound


async def test_unreadable_neighbours_are_not_there(people: Any) -> None:
    alice, bob, _ = people
    (note,) = await alice.walk("write", text="shared")
    await alice.walk("share", node=note, level="CONNECT")
    assert await bob.walk("link", other=note) == ["linked"]
    assert await bob.walk("neighbours") == [["shared"]]
    await alice.walk("unshare", node=note)
    assert await bob.walk("neighbours") == [[]]


async def test_the_shared_root_is_everybodys_to_read_and_attach_to(people: Any) -> None:
    alice, bob, guest = people
    await alice.walk("post", text="from alice")
    await guest.walk("post", text="from a guest")
    assert await guest.walk("board") == [["from a guest"]]  # what a user attaches stays the user's
    assert await alice.walk("board") == [["from alice", "from a guest"]]
    assert await bob.walk("board") == [["from a guest"]]


async def test_guests_share_one_root_and_users_do_not(people: Any) -> None:
    alice, bob, guest = people
    await alice.walk("write", text="a")
    await guest.walk("write", text="g")
    assert [await each.walk("mine") for each in (alice, bob, guest)] == [[["a"]], [[]], [["g"]]]
    with pytest.raises(NodeNotFound):
        await alice.walk("mine", node=GUEST_ROOT)


async def test_a_root_cannot_be_deleted(people: Any) -> None:
    alice, _, _ = people
    with pytest.raises(AccessDenied):
        await alice.walk("remove_root")


async def test_allroots_lists_every_root(people: Any) -> None:
    alice, _, _ = people
    assert await alice.walk("everybody") == [4]  # system, guest, Alice, Bob


async def test_a_field_leads_to_no_node_that_the_caller_may_not_see(people: Any) -> None:
    alice, bob, guest = people
    (secret,) = await alice.walk("write", text="secret")
    (public,) = await alice.walk("write", text="public")
    await alice.walk("share", node=public, level="READ")
    (folder,) = await alice.walk("make_folder", notes=[secret, public])
    await alice.walk("share_folder", node=folder, level="WRITE")
    for other in (bob, guest):
        assert await other.walk("open_folder", node=folder) == [[None, [None, "public"]]]
        assert "secret" not in str(await other.walk("answer_folder", node=folder))
    await bob.walk("label_folder", node=folder)
    assert await alice.walk("open_folder", node=folder) == [["secret", ["secret", "public"]]]


async def test_a_node_in_a_field_keeps_its_own_permissions(people: Any) -> None:
    alice, bob, _ = people
    notes = [(await alice.walk("write", text="x"))[0] for _ in range(2)]
    for note, level in zip(notes, ("READ", "WRITE"), strict=True):
        await alice.walk("share", node=note, level=level)
        (folder,) = await alice.walk("make_folder", notes=[note])
        await alice.walk("share_folder", node=folder, level="READ")
        if level == "READ":
            with pytest.raises(AccessDenied):
                await bob.walk("edit_best", node=folder, text="changed")
        else:
            await bob.walk("edit_best", node=folder, text="changed")
    assert [(await alice.walk("read", node=note))[0] for note in notes] == ["x", "changed"]


async def test_the_fields_of_edges_lead_to_nodes_as_those_of_nodes_do(people: Any) -> None:
    alice, bob, _ = people
    (secret,) = await alice.walk("write", text="secret")
    (public,) = await alice.walk("write", text="public")
    await alice.walk("share", node=public, level="READ")
    (other,) = await alice.walk("write", text="other")
    for note, seen in ((secret, None), (public, "public")):
        (folder,) = await alice.walk("make_folder", notes=[other])
        await alice.walk("share_folder", node=folder, level="READ")
        await alice.walk("file", node=folder, note=note)
        assert await alice.walk("filed", node=folder) == [["secret" if note == secret else "public"]]
        assert await bob.walk("filed", node=folder) == [[seen]]
