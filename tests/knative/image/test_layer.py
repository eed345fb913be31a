"""Layers: the same files, the same bytes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jacfn_knative.image.layer import TIME, write_layer

paths = st.from_regex(r"(/[a-z]{1,3}){1,3}\.(py|pyc)", fullmatch=True)
trees = st.dictionaries(paths, st.binary(max_size=100), max_size=8)


def written(files: dict[str, bytes | Path]) -> tuple[bytes, str, str]:
    out = io.BytesIO()
    layer = write_layer(files, out, "")
    assert layer.blob.size == len(out.getvalue())
    return out.getvalue(), layer.blob.digest, layer.diff_id


@settings(max_examples=25)
@given(trees)
def test_order_of_the_files_does_not_matter(files: dict[str, bytes | Path]) -> None:
    assert written(files) == written(dict(reversed(files.items())))


@settings(max_examples=25)
@given(trees)
def test_the_digests_are_those_of_the_blob_and_of_what_is_in_it(files: dict[str, bytes | Path]) -> None:
    import gzip

    blob, digest, diff_id = written(files)
    assert digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert diff_id == f"sha256:{hashlib.sha256(gzip.decompress(blob)).hexdigest()}"


@settings(max_examples=25)
@given(trees)
def test_every_file_is_there_with_its_folders_before_it(files: dict[str, bytes | Path]) -> None:
    with tarfile.open(fileobj=io.BytesIO(written(files)[0])) as tar:
        seen: set[str] = set()
        contents = {}
        for entry in tar:
            parent = entry.name.rpartition("/")[0]
            assert not parent or parent in seen
            assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname) == (TIME, 0, 0, "", "")
            seen.add(entry.name)
            if entry.isfile():
                content = tar.extractfile(entry)
                assert content is not None
                contents[f"/{entry.name}"] = content.read()
    assert contents == files


def test_time_and_owner_of_a_file_on_disk_leave_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"content")
    assert written({"/x/a": file}) == written({"/x/a": b"content"})


def test_a_command_stays_executable(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_bytes(b"#!/bin/sh\n")
    file.chmod(0o700)
    with tarfile.open(fileobj=io.BytesIO(written({"/bin/run": file})[0])) as tar:
        assert tar.getmember("bin/run").mode == 0o755


@pytest.mark.parametrize("path", ["relative", "/../etc/passwd", "/", "/a/../../b"])
def test_a_path_that_leaves_the_root_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no absolute path"):
        written({path: b""})
