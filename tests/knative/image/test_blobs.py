"""The cache on disk: content by digest, checked when it comes in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jacfn_knative.errors import ImageError
from jacfn_knative.image.blobs import Blobs, default_folder
from jacfn_knative.image.errors import RegistryFault
from jacfn_knative.image.model import digest_of


def test_what_was_added_is_there(blobs: Blobs) -> None:
    digest = digest_of(b"onetwo")
    assert not blobs.has(digest)
    blobs.add(digest, [b"one", b"two"])
    assert blobs.has(digest)
    assert b"".join(blobs.read(digest)) == b"onetwo"


def test_content_that_is_not_what_its_digest_says_leaves_nothing_behind(blobs: Blobs) -> None:
    with pytest.raises(RegistryFault, match="damaged"):
        blobs.add(digest_of(b"right"), [b"wrong"])
    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == []


def test_a_transfer_that_breaks_off_leaves_nothing_behind(blobs: Blobs) -> None:
    def broken() -> object:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        blobs.add(digest_of(b"half and half"), broken())  # type: ignore[arg-type]
    assert [path for path in blobs.folder.rglob("*") if path.is_file()] == []


def test_a_copy_that_the_disk_damaged_is_found_out_and_removed(blobs: Blobs) -> None:
    digest = digest_of(b"right")
    blobs.add(digest, [b"right"]).write_bytes(b"wrong")
    with pytest.raises(RegistryFault, match="damaged copy"):
        list(blobs.read(digest))
    assert not blobs.has(digest)


def test_records_come_back(blobs: Blobs) -> None:
    assert blobs.record("key") is None
    blobs.remember("key", {"a": 1})
    assert blobs.record("key") == {"a": 1}


def test_a_damaged_record_counts_as_none(blobs: Blobs) -> None:
    blobs.remember("key", {"a": 1})
    (blobs.folder / "records" / "key.json").write_text("{")
    assert blobs.record("key") is None


def test_what_was_not_used_for_a_while_is_removed(blobs: Blobs) -> None:
    old, fresh = digest_of(b"old"), digest_of(b"fresh")
    blobs.add(old, [b"old"])
    blobs.add(fresh, [b"fresh"])
    os.utime(blobs.path(old), (0, 0))
    assert blobs.prune() == 3
    assert not blobs.has(old)
    assert blobs.has(fresh)


def test_use_keeps_a_blob(blobs: Blobs) -> None:
    digest = digest_of(b"old")
    blobs.add(digest, [b"old"])
    os.utime(blobs.path(digest), (0, 0))
    assert blobs.has(digest)
    assert blobs.prune() == 0


def test_an_empty_cache_can_be_pruned(blobs: Blobs) -> None:
    assert blobs.prune() == 0


def test_a_cache_that_cannot_be_written_is_told_with_the_way_to_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match="cannot be written") as refused:
        Blobs(tmp_path / "file" / "cache").add(digest_of(b""), [])
    assert "JACFN_CACHE" in refused.value.next_step


def test_the_folder_can_be_chosen() -> None:
    assert default_folder({"JACFN_CACHE": "/somewhere"}) == Path("/somewhere")
