"""The bundle in ConfigMaps: nothing lost, nothing over the limit, the same content under the same name."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jacfn_knative.app import App, Bundle
from jacfn_knative.errors import InvalidApp
from jacfn_knative.manifests import Object, bundle
from knative.apps import SHOP, made

PATHS = st.lists(
    st.text("abC_.-/é ", min_size=1, max_size=12).map(lambda text: "/".join(filter(None, text.split("/"))) or "x"), max_size=6
)


def app_with(files: dict[str, bytes]) -> App:
    return replace(SHOP, bundle=Bundle(hash="cd" * 32, files=files))


def mounted(app: App) -> dict[str, bytes]:
    """What a pod sees: the projected volume put together from the ConfigMaps."""
    everything = made(app)
    volumes = everything["ksvc/shop"]["spec"]["template"]["spec"]["volumes"]
    (sources,) = [volume["projected"]["sources"] for volume in volumes if volume["name"] == "bundle"]
    files = {}
    for source in sources:
        item = everything[f"ConfigMap/{source['configMap']['name']}"]
        for entry in source["configMap"]["items"]:
            text, binary = item.get("data", {}), item.get("binaryData", {})
            files[entry["path"]] = text[entry["key"]].encode() if entry["key"] in text else base64.b64decode(binary[entry["key"]])
    return files


def config_maps(app: App) -> list[Object]:
    return [item for name, item in made(app).items() if name.startswith("ConfigMap/")]


@given(
    st.dictionaries(
        st.text("abC_.-é ", min_size=1, max_size=9).filter(lambda t: t not in (".", "..")), st.binary(max_size=40), min_size=1
    )
)
def test_every_file_arrives_at_its_path_with_its_bytes(files: dict[str, bytes]) -> None:
    assert mounted(app_with(files)) == files


def test_folders_are_kept() -> None:
    files = {"manifest.json": b"{}", "src/main.jac": b"a", "src/lib/x.jac": b"b", "src__main.jac": b"c"}
    assert mounted(app_with(files)) == files


@settings(max_examples=10)
@example([1, 2 * bundle.CONFIG_MAP_BYTES + 1, bundle.CONFIG_MAP_BYTES])
@given(st.lists(st.integers(1, 3 * bundle.CONFIG_MAP_BYTES), min_size=1, max_size=3))
def test_a_large_file_is_cut_into_numbered_pieces_that_fit(sizes: list[int]) -> None:
    files = {f"f{number}.bin": bytes([number]) * size for number, size in enumerate(sizes)}
    if sum(sizes) > bundle.BUNDLE_BYTES:
        return
    packs = bundle.packs(files)
    assert all(sum(map(len, pack.values())) <= bundle.CONFIG_MAP_BYTES for pack in packs)
    pieces = {path: content for pack in packs for path, content in pack.items()}
    for path, content in files.items():
        cut = [pieces[f"{path}.{number}"] for number in range(20) if f"{path}.{number}" in pieces]
        assert (b"".join(cut) if cut else pieces[path]) == content
        assert bool(cut) == (len(content) > bundle.CONFIG_MAP_BYTES)


def test_a_piece_that_would_be_taken_for_another_file_is_refused() -> None:
    with pytest.raises(InvalidApp, match=r"f\.bin\.0"):
        made(app_with({"f.bin": bytes(bundle.CONFIG_MAP_BYTES + 1), "f.bin.0": b"another"}))


def test_config_maps_are_immutable_and_named_after_their_content() -> None:
    first, second = config_maps(app_with({"a": b"1"}))[0], config_maps(app_with({"a": b"2"}))[0]
    assert first["immutable"] is True
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first == config_maps(replace(app_with({"a": b"1"}), project="another"))[0] | {"metadata": first["metadata"]}


def test_text_stays_readable_and_bytes_travel_as_base64() -> None:
    (item,) = config_maps(app_with({"main.jac": "wälker".encode(), "code.bin": b"\xff\x00"}))
    assert item["data"] == {"main.jac": "wälker"}
    assert item["binaryData"] == {"code.bin": "/wA="}


def test_more_than_eight_mebibytes_are_refused_and_the_way_out_is_named() -> None:
    with pytest.raises(InvalidApp) as refused:
        made(app_with({"model.bin": bytes(bundle.BUNDLE_BYTES + 1)}))
    assert "--build" in refused.value.next_step and "model.bin" in refused.value.evidence


@given(st.lists(st.text(min_size=1, max_size=300), unique=True, max_size=20))
def test_keys_are_valid_and_different(paths: list[str]) -> None:
    keys = [bundle.key(path) for path in paths]
    assert len(set(keys)) == len(keys)
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
    assert all(set(key) <= allowed and len(key) <= bundle.KEY_LENGTH for key in keys)


@given(PATHS)
def test_keys_of_paths_with_folders_are_different_too(paths: list[str]) -> None:
    assert len({bundle.key(path) for path in paths}) == len(set(paths))
