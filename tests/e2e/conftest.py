"""Fixtures of the slow evidence: the cluster, the runtime image, and the shop deployed once for all tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e import homes
from e2e.cluster import Cluster, environment

SHOP = homes.ROOT / "examples" / "shop" / "main.jac"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The running test cluster; tests that need one are skipped where there is none."""
    env = environment()
    if env is None:
        pytest.skip("no test cluster runs here: ../shared/cluster/cluster up")
    return Cluster(env)


@pytest.fixture(scope="session")
def runtime_image(cluster: Cluster) -> str:
    """The runtime image, built by `jacfn image runtime` without docker and pushed to the cluster's registry; by digest."""
    registry = cluster.env["REGISTRY"]
    command = [str(homes.BIN / "jacfn"), "image", "runtime", "--base", f"{registry}/library/python:3.12-slim"]
    command += ["--push", f"{registry}/jacfn/runtime:e2e"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, env=homes.clean_env(), check=False)
    assert result.returncode == 0, result.stderr
    reference = result.stdout.strip().splitlines()[-1]
    assert "@sha256:" in reference, result.stdout
    return reference


@dataclass(frozen=True)
class Deployment:
    """An app that is deployed: where, under which name, and how to run commands on it."""

    cluster: Cluster
    namespace: str
    app: str
    entry: Path
    image: str
    node_port: int = 30001

    @property
    def env(self) -> dict[str, str]:
        return self.cluster.env | {
            "PATH": f"{homes.BIN}:{self.cluster.env['PATH']}",
            "APP_NAME": self.app,
            "K8s_NAMESPACE": self.namespace,
            "K8s_NODE_PORT": str(self.node_port),
            "JACFN_RUNTIME_IMAGE": self.image,
            "JACFN_INGRESS": self.cluster.env["GATEWAY"],
        }

    def jac(self, *arguments: str, **more: str) -> homes.Run:
        return homes.jac(*arguments, folder=self.entry.parent, env=self.env | more)

    def deploy(self) -> homes.Run:
        run = self.jac("start", self.entry.name, "--scale")
        assert run.code == 0, str(run)
        return run

    def destroy(self, *more: str) -> homes.Run:
        return self.jac("destroy", self.entry.name, "--yes", *more)


@pytest.fixture(scope="session")
def shop_deployed(cluster: Cluster, runtime_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """examples/shop on the cluster, in a namespace of its own that enforces `restricted`."""
    with cluster.namespace(f"jacfn-e2e-{os.getpid()}") as namespace:
        entry = homes.copy_of(SHOP, tmp_path_factory.mktemp("shop"))
        deployment = Deployment(cluster, namespace, "shop", entry, runtime_image)
        deployment.deploy()
        yield deployment
        deployment.destroy()
