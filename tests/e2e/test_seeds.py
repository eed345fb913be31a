"""What `with entry` makes is there once: after twenty pods that started together, and after the next deploy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import homes
from e2e.cluster import Cluster, eventually
from e2e.conftest import Deployment

PODS = 20
PROGRAM = """
node Category { has name: str; }

with entry {
    books = Category(name="books");
    root.shared ++> books;
    grant(books, ReadPerm);
}

walker : pub categories {
    can list with Root entry { report [category.name for category in [here -->](?:Category)]; }
}
"""
SETTINGS = """
[project]
name = "seeds"

[plugins.scale.functions.categories]
min_scale = {pods}
"""


@pytest.fixture
def seeded(cluster: Cluster, runtime_image: str, tmp_path: Path) -> Iterator[Deployment]:
    """An app whose only endpoint starts with twenty pods at once."""
    if not cluster.knative:
        pytest.skip("this cluster has no Knative")
    (tmp_path / "main.jac").write_text(PROGRAM)
    (tmp_path / "jac.toml").write_text(SETTINGS.format(pods=PODS))
    with cluster.namespace(f"jacfn-e2e-seeds-{os.getpid()}") as namespace:
        app = Deployment(cluster, namespace, "seeds", tmp_path / "main.jac", runtime_image, node_port=30041)
        app.deploy()
        yield app
        app.destroy()


def ready_pods(app: Deployment) -> list[str]:
    """The pods of the endpoint that are ready."""
    found: list[dict[str, Any]] = app.cluster.get("pods", app.namespace, "jacfn.dev/app=seeds,jacfn.dev/endpoint")
    ready = {"type": "Ready", "status": "True"}
    return [
        pod["metadata"]["name"]
        for pod in found
        if any(ready.items() <= condition.items() for condition in pod["status"].get("conditions", []))
    ]


def categories(app: Deployment) -> Any:
    send = homes.knative(app.cluster, app.namespace, app.app)
    return send("POST", "/walker/categories", {}, b"").json()["data"]["reports"]


def test_seeds_are_there_once_for_twenty_pods_and_after_a_redeploy(seeded: Deployment) -> None:
    assert eventually(lambda: len(ready_pods(seeded)) == PODS, 120), ready_pods(seeded)
    assert categories(seeded) == [["books"]]
    seeded.deploy()
    assert categories(seeded) == [["books"]]
    (seeded.entry.parent / "jac.toml").write_text(SETTINGS.format(pods=0))  # new pods of the same bundle
    seeded.deploy()
    assert categories(seeded) == [["books"]]
