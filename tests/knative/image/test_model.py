"""Images as data: platforms, indexes, and what extending an image keeps and changes."""

from __future__ import annotations

import json

import pytest

from jacfn_knative.image.errors import BadReference, PlatformMissing, RegistryFault
from jacfn_knative.image.model import (
    OCI_LAYER,
    Descriptor,
    Layer,
    Platform,
    Process,
    canonical,
    choose,
    digest_of,
    extend,
    layers_of,
    platforms_of,
)
from jacfn_knative.image.reference import Reference

BASE = {
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "created": "2026-01-02T03:04:05Z",
    "config": {
        "Env": ["PATH=/bin", "LANG=C"],
        "Cmd": ["python3"],
        "User": "root",
        "Labels": {"theirs": "1"},
        "WorkingDir": "/srv",
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:aa"]},
    "history": [{"created_by": "them"}],
}
UNDER = Layer(Descriptor(OCI_LAYER, "sha256:a", 1), "sha256:aa")
OURS = Layer(Descriptor(OCI_LAYER, "sha256:b", 2), "sha256:bb", comment="ours")
INDEX = {
    "manifests": [
        {"mediaType": "m", "digest": "sha256:1", "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
        {
            "mediaType": "m",
            "digest": "sha256:2",
            "size": 2,
            "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
        },
        {"mediaType": "m", "digest": "sha256:3", "size": 3, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
        {"mediaType": "m", "digest": "sha256:4", "size": 4, "platform": {"os": "unknown", "architecture": "unknown"}},
        {"mediaType": "m", "digest": "sha256:5", "size": 5},
    ]
}


@pytest.mark.parametrize(
    ("platform", "digest"), [("linux/amd64", "1"), ("linux/arm64", "2"), ("linux/arm64/v8", "2"), ("linux/arm/v7", "3")]
)
def test_an_index_is_asked_for_a_platform(platform: str, digest: str) -> None:
    assert choose(INDEX, Platform.parse(platform), "python").digest == f"sha256:{digest}"


def test_a_platform_that_is_missing_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(PlatformMissing) as refused:
        choose(INDEX, Platform.parse("linux/s390x"), "python")
    assert "linux/amd64, linux/arm/v7, linux/arm64" in refused.value.evidence


def test_attestations_are_no_platform() -> None:
    assert platforms_of(INDEX) == ("linux/amd64", "linux/arm/v7", "linux/arm64")


@pytest.mark.parametrize("text", ["", "amd64", "linux/", "Linux/AMD64", "linux/arm64/v8/x", "linux amd64"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(BadReference):
        Platform.parse(text)


def test_extending_adds_layers_and_keeps_what_is_not_ours() -> None:
    image = extend(
        BASE,
        (UNDER,),
        (OURS,),
        Process(("/python", "-m", "us"), {"LANG": "C.UTF-8", "NEW": "a=b"}, "65532", "/tmp", 8080),
        {"ours": "2"},
    )
    config = json.loads(image.config)
    assert config["rootfs"]["diff_ids"] == ["sha256:aa", "sha256:bb"]
    assert config["config"]["Env"] == ["PATH=/bin", "LANG=C.UTF-8", "NEW=a=b"]
    assert config["config"]["Entrypoint"] == ["/python", "-m", "us"]
    assert "Cmd" not in config["config"]
    assert config["config"]["User"] == "65532"
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    assert config["config"]["Labels"] == image.labels == {"ours": "2", "theirs": "1"}
    assert [entry.get("comment") for entry in config["history"]] == [None, "ours"]
    assert str(image.platform) == "linux/arm64"
    manifest = json.loads(image.manifest)
    assert [layer["digest"] for layer in manifest["layers"]] == ["sha256:a", "sha256:b"]
    assert manifest["config"]["digest"] == digest_of(image.config)
    assert manifest["annotations"] == {"ours": "2", "theirs": "1"}


def test_extending_by_nothing_but_a_layer_keeps_the_process() -> None:
    settings = json.loads(extend(BASE, (UNDER,), (OURS,), Process(), {}).config)["config"]
    assert (settings["Cmd"], settings["User"], settings["WorkingDir"]) == (["python3"], "root", "/srv")


def test_the_same_image_has_the_same_digest() -> None:
    shuffled = dict(reversed(BASE.items()))
    assert (
        extend(BASE, (UNDER,), (OURS,), Process(), {"a": "1", "b": "2"}).digest
        == extend(shuffled, (UNDER,), (OURS,), Process(), {"b": "2", "a": "1"}).digest
    )


def test_docker_s_layers_become_oci_layers() -> None:
    manifest = {"layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": "sha256:a", "size": 1}]}
    (layer,) = layers_of(manifest, BASE, Reference.parse("python"))
    assert layer.blob.media_type == OCI_LAYER
    assert layer.origin == Reference.parse("python")


def test_an_image_whose_parts_do_not_agree_is_refused() -> None:
    with pytest.raises(RegistryFault):
        layers_of({"layers": []}, BASE, Reference.parse("python"))


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": [1, "ü"], "a": None}) == '{"a":null,"b":[1,"ü"]}'.encode()
