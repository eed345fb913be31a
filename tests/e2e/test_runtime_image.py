"""The runtime image for real: built twice from nothing it is the same, and in a restricted pod it compiles and writes nothing."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from e2e.cluster import Cluster, eventually
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.build import build_app, build_runtime
from jacfn_knative.image.model import Image
from jacfn_knative.image.push import push

# Runs in the container: imports what a function service, the gateway and the full loader need; tells what that compiled or wrote.
PROBE = """
import json, os, sys
seen = {"compiled": [], "written": [], "user": os.getuid()}
def watch(event, arguments):
    if event == "compile" and not str(arguments[1]).startswith(("<", "b'<", "None")):
        seen["compiled"].append(str(arguments[1]))
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen["written"].append(str(arguments[0]))
sys.addaudithook(watch)
import jacfn_runtime.http.serve, falcon.asgi, uvicorn, uvloop, httptools, pymongo, redis.asyncio
import argon2, authlib, beanie, httpx2
import jaclang, jaclang.runtimelib.serializer
print(json.dumps(seen))
"""
SECRETS = {
    "DOCKER_PASSWORD": "t0p-s3cret-d0cker",
    "JWT_SECRET": "t0p-s3cret-jwt-0123456789abcdef01",
    "MONGODB_URI": "mongodb://t0p-s3cret",
}


@pytest.fixture(scope="module")
def base(cluster: Cluster) -> str:
    return f"{cluster.env['REGISTRY']}/library/python:3.12-slim"


@pytest.fixture(scope="module")
def first(base: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Image, Blobs]:
    """A runtime image built with an empty cache, with secrets in the environment that must not reach it."""
    blobs = Blobs(tmp_path_factory.mktemp("first"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        return build_runtime(base, "linux/amd64", blobs=blobs), blobs


def test_built_twice_from_nothing_it_has_the_same_digest(base: str, first: tuple[Image, Blobs], tmp_path: Path) -> None:
    again = build_runtime(base, "linux/amd64", blobs=Blobs(tmp_path))
    assert [layer.blob.digest for layer in again.layers] == [layer.blob.digest for layer in first[0].layers]
    assert again.digest == first[0].digest


def test_no_layer_has_a_secret_or_a_path_of_this_machine(first: tuple[Image, Blobs]) -> None:
    image, blobs = first
    ours = [layer for layer in image.layers if layer.origin is None]
    assert len(ours) == 3
    wanted = [b"t0p-s3cret", str(Path(__file__).parents[2]).encode(), str(blobs.folder).encode()]
    for content in (image.config, image.manifest, *(gzip.decompress(blobs.path(each.blob.digest).read_bytes()) for each in ours)):
        assert [word for word in wanted if word in content] == []


def test_a_changed_line_pushes_one_small_layer(cluster: Cluster, first: tuple[Image, Blobs]) -> None:
    image, blobs = first
    name = f"{cluster.env['REGISTRY']}/jacfn-e2e/app-{os.getpid()}"
    push(build_app(image, {"src/main.jac": b"one"}, blobs=blobs), f"{name}:1", blobs=blobs)
    changed = push(build_app(image, {"src/main.jac": b"two"}, blobs=blobs), f"{name}:2", blobs=blobs)
    assert changed.sent == 2  # the layer of the bundle, and the configuration
    assert changed.sent_bytes < 10_000


def test_in_a_restricted_pod_a_start_compiles_nothing_and_writes_nothing(cluster: Cluster, first: tuple[Image, Blobs]) -> None:
    image, blobs = first
    reference = push(image, f"{cluster.env['REGISTRY']}/jacfn-e2e/runtime-{os.getpid()}:1", blobs=blobs).reference
    entrypoint = json.loads(image.config)["config"]["Entrypoint"]
    assert entrypoint[1:] == ["-m", "jacfn_runtime"]
    context = {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "probe", "image": reference, "command": [entrypoint[0], "-c", PROBE], "securityContext": context}
    with cluster.namespace(f"jacfn-e2e-image-{os.getpid()}") as namespace:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": namespace}}
        cluster.kubectl(
            "apply", "-f", "-", stdin=json.dumps(pod | {"spec": {"restartPolicy": "Never", "containers": [container]}})
        )
        eventually(lambda: cluster.get("pods", namespace)[0]["status"]["phase"] in ("Succeeded", "Failed"), 120)
        seen = json.loads(cluster.kubectl("logs", "probe", "-n", namespace))
    assert seen == {"compiled": [], "written": [], "user": 65532}
