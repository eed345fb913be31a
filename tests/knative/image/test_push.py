"""Moving images in and out of real registries: what is sent and what is spared."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import servers
from jacfn_knative.errors import ImageError
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.errors import ImageNotFound, PlatformMissing, RegistryFault, RegistryUnreachable
from jacfn_knative.image.model import Image, Process, digest_of, extend
from jacfn_knative.image.push import anonymous_pull_works, inspect, push, push_index, read_image, save
from jacfn_knative.image.source import Source
from jacfn_knative.report import Event

MakeImage = Callable[..., Image]


def test_what_is_pushed_can_be_inspected_by_tag_and_by_digest(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    image = make_image({"/a": b"a"}, labels={"dev.jacfn.version": "1"})
    pushed = push(image, f"{registry}/inspected:1", blobs=blobs)
    assert pushed.reference == f"{registry}/inspected@{image.digest}"
    for reference in (pushed.reference, f"{registry}/inspected:1"):
        info = inspect(reference)
        assert info.reference == pushed.reference
        assert info.labels == {"dev.jacfn.version": "1"}
        assert (info.platform, info.platforms, info.user) == ("linux/amd64", ("linux/amd64",), "65532")
        assert info.size == image.layers[0].blob.size


def test_blobs_that_are_there_are_not_sent_again(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    shared = {"/large": os.urandom(3 << 20)}
    first = push(make_image(shared, {"/main.jac": b"one"}), f"{registry}/again:1", blobs=blobs)
    assert (first.sent, first.present) == (3, 0)
    same = push(make_image(shared, {"/main.jac": b"one"}), f"{registry}/again:2", blobs=blobs)
    assert (same.sent, same.sent_bytes) == (0, 0)
    changed = push(make_image(shared, {"/main.jac": b"two"}), f"{registry}/again:3", blobs=blobs)
    assert (changed.sent, changed.present) == (2, 1)  # the small layer and the configuration
    assert changed.sent_bytes < 2000


def test_a_blob_of_another_repository_of_the_registry_is_taken_over(
    registry: str, blobs: Blobs, make_image: MakeImage, tmp_path: Path
) -> None:
    push(make_image({"/base": os.urandom(1 << 20)}), f"{registry}/mount/base:1", blobs=blobs)
    elsewhere = Blobs(tmp_path / "empty")
    base = read_image(f"{registry}/mount/base:1", blobs=elsewhere)
    app = extend(json.loads(base.config), base.layers, (), Process(environment={"A": "1"}), {})
    assert push(app, f"{registry}/mount/app:1", blobs=elsewhere).sent == 1  # the configuration: the layer never came here
    assert not elsewhere.has(base.layers[0].blob.digest)


def test_an_image_moves_from_one_registry_to_another_as_it_is(
    registry: str, locked_registry: str, blobs: Blobs, make_image: MakeImage, tmp_path: Path, ann: Callable[[str], object]
) -> None:
    image = make_image({"/a": os.urandom(1 << 20)})
    push(image, f"{registry}/moved:1", blobs=blobs)
    elsewhere = Blobs(tmp_path / "empty")
    copied = read_image(f"{registry}/moved:1", blobs=elsewhere)
    pushed = push(copied, f"{locked_registry}/moved:1", ann(locked_registry), elsewhere)  # type: ignore[arg-type]
    assert pushed.reference == f"{locked_registry}/moved@{image.digest}"


def test_a_single_image_for_another_platform_is_refused(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    push(make_image({"/a": b"a"}), f"{registry}/single:1", blobs=blobs)
    with pytest.raises(PlatformMissing, match="is for linux/amd64, not for linux/arm64"):
        read_image(f"{registry}/single:1", "linux/arm64", blobs=blobs)


def test_an_image_that_is_not_there_is_named(registry: str) -> None:
    with pytest.raises(ImageNotFound, match=f"There is no image {registry}/nothing:1"):
        inspect(f"{registry}/nothing:1")
    assert not anonymous_pull_works(f"{registry}/nothing:1")


def test_an_open_registry_needs_no_secret(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    pushed = push(make_image({"/a": b"a"}), f"{registry}/open:1", blobs=blobs)
    assert anonymous_pull_works(pushed.reference)


def test_nobody_at_the_address_is_told_as_such() -> None:
    with pytest.raises(RegistryUnreachable) as refused:
        inspect(f"127.0.0.1:{servers.free_port()}/shop:1")
    assert refused.value.next_step


def test_a_layer_that_arrives_damaged_is_refused(registry: str, blobs: Blobs, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image({"/a": b"a"})
    push(image, f"{registry}/damaged:1", blobs=blobs)
    lying = read_image(f"{registry}/damaged:1", blobs=blobs)
    layer = lying.layers[0]
    with Source(blobs=Blobs(tmp_path / "empty")) as source:
        content = b"".join(source.pieces(layer))
        assert digest_of(content) == layer.blob.digest
    with pytest.raises(RegistryFault, match="damaged"):
        Blobs(tmp_path / "other").add(layer.blob.digest, [content[:-1]])


def test_progress_is_told(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    events: list[Event] = []
    push(make_image({"/a": os.urandom(2 << 20)}), f"{registry}/told:1", blobs=blobs, report=events.append)
    assert any("sent 2 of 2 MB" in event.text for event in events)
    assert events[-1].text.startswith("pushed: 2 of 2 blobs sent")


def test_an_archive_is_an_oci_layout_and_what_docker_saves(blobs: Blobs, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image({"/a": b"a"}, {"/b": b"b"})
    save(image, "dev.local/shop:1", tmp_path / "image.tar", blobs=blobs)
    with tarfile.open(tmp_path / "image.tar") as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert digest_of(content) == f"sha256:{name.rpartition('/')[2]}"
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == image.digest
    assert entry["annotations"]["io.containerd.image.name"] == "dev.local/shop:1"
    (docker,) = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == ["dev.local/shop:1"]
    assert files[docker["Config"]] == image.config
    assert [files[layer] for layer in docker["Layers"]] == [blobs.path(layer.blob.digest).read_bytes() for layer in image.layers]


def test_a_damaged_copy_in_the_cache_is_fetched_again_while_pushing(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    push(make_image({"/a": os.urandom(1 << 20)}), f"{registry}/repair/from:1", blobs=blobs)
    image = read_image(f"{registry}/repair/from:1", blobs=blobs)
    extended = make_image({"/b": b"b"})
    layer = replace(image.layers[0], origin=replace(image.layers[0].origin, registry=registry.replace("127.0.0.1", "localhost")))
    blobs.path(layer.blob.digest).write_bytes(b"damaged")
    moved = extend(json.loads(extended.config), (layer,), (), Process(), {})
    assert push(moved, f"{registry}/repair/to:1", blobs=blobs).sent == 2
    assert digest_of(blobs.path(layer.blob.digest).read_bytes()) == layer.blob.digest


def test_saving_fetches_what_lies_in_a_registry(registry: str, blobs: Blobs, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image({"/a": b"a"})
    push(image, f"{registry}/saved:1", blobs=blobs)
    elsewhere = Blobs(tmp_path / "empty")
    save(read_image(f"{registry}/saved:1", blobs=elsewhere), "dev.local/saved:1", tmp_path / "image.tar", blobs=elsewhere)
    with tarfile.open(tmp_path / "image.tar") as tar:
        assert f"blobs/sha256/{image.layers[0].blob.digest[7:]}" in tar.getnames()


def test_an_archive_is_written_where_there_is_a_folder_for_it(blobs: Blobs, make_image: MakeImage, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be written"):
        save(make_image({"/a": b"a"}), "dev.local/shop:1", tmp_path / "no" / "folder.tar", blobs=blobs)


def test_an_archive_whose_layers_are_gone_leaves_no_half_of_it(blobs: Blobs, make_image: MakeImage, tmp_path: Path) -> None:
    image = make_image({"/a": b"a"})
    blobs.path(image.layers[0].blob.digest).unlink()
    with pytest.raises(RegistryFault, match="no longer in the cache"):
        save(image, "dev.local/shop:1", tmp_path / "image.tar", blobs=blobs)
    assert list(tmp_path.glob("image.tar*")) == []


def test_images_of_several_platforms_share_a_name(registry: str, blobs: Blobs, make_image: MakeImage) -> None:
    images = [make_image({"/a": name.encode()}, architecture=name) for name in ("arm64", "amd64")]
    pushed = push_index(images, f"{registry}/shared:1", blobs=blobs)
    info = inspect(f"{registry}/shared:1")
    assert info.reference == pushed.reference
    assert info.platforms == ("linux/amd64", "linux/arm64")
    assert [read_image(pushed.reference, name, blobs=blobs).digest for name in ("linux/arm64", "linux/amd64")] == [
        each.digest for each in images
    ]
    with pytest.raises(PlatformMissing, match="linux/s390x"):
        read_image(pushed.reference, "linux/s390x", blobs=blobs)
    assert push_index(images[::-1], f"{registry}/shared:2", blobs=blobs).reference == pushed.reference
