"""`--builder docker` where there is no Dockerfile, no docker, or no daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from jacfn_knative.errors import ImageError
from jacfn_knative.image.docker import docker_build


def test_a_project_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no Dockerfile"):
        docker_build(tmp_path, "localhost:1/shop:1")


def test_a_machine_without_docker_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="docker is not on the PATH"):
        docker_build(tmp_path, "localhost:1/shop:1")


def test_what_docker_says_is_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ImageError, match="docker build failed") as refused:
        docker_build(tmp_path, "localhost:1/shop:1")
    assert refused.value.evidence == "Cannot connect to the Docker daemon"
