"""Whether an image fits a bundle."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from jacfn_knative.image.errors import ImageMismatch
from jacfn_knative.image.fit import JACFN, JACLANG, PYTHON, ImageInfo, check_fit


@dataclass(frozen=True)
class Bundle:
    jacfn: str = "0.1.0"
    jaclang: str = "0.16.7"
    python: str = "3.12"


LABELS = {JACFN: "0.1.0", JACLANG: "0.16.7", PYTHON: "3.12.8"}
IMAGE = ImageInfo("ghcr.io/ann/runtime@sha256:12", "linux/amd64", LABELS)


def test_the_same_versions_fit_whatever_the_patch_of_python() -> None:
    check_fit(IMAGE, Bundle(), ["linux/amd64"])


@pytest.mark.parametrize(
    ("bundle", "told"),
    [
        (Bundle(jacfn="0.2.0"), "jacfn: the image has 0.1.0, the bundle was made with 0.2.0"),
        (Bundle(jaclang="0.16.8"), "jaclang: the image has 0.16.7, the bundle was made with 0.16.8"),
        (Bundle(python="3.13"), "Python: the image has 3.12, the bundle was made with 3.13"),
    ],
)
def test_another_version_is_refused_with_both_named(bundle: Bundle, told: str) -> None:
    with pytest.raises(ImageMismatch) as refused:
        check_fit(IMAGE, bundle)
    assert refused.value.evidence == told
    assert "jacfn image runtime" in refused.value.next_step


def test_everything_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(ImageMismatch) as refused:
        check_fit(IMAGE, Bundle("1", "2", "3.14"), ["linux/arm64"])
    assert len(refused.value.evidence.splitlines()) == 4


def test_an_image_for_other_nodes_is_refused_with_the_command_that_helps() -> None:
    with pytest.raises(ImageMismatch) as refused:
        check_fit(IMAGE, Bundle(), ["linux/amd64", "linux/arm64"])
    assert "--platform linux/arm64" in refused.value.next_step


def test_an_image_of_somebody_else_is_refused() -> None:
    with pytest.raises(ImageMismatch, match="no image of jacfn"):
        check_fit(ImageInfo("nginx@sha256:12", "linux/amd64"), Bundle())
