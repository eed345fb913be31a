"""Whether an image fits a bundle: found out before any write, not by a pod that refuses to start. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from jacfn_knative.image.errors import ImageMismatch

JACFN, JACLANG, PYTHON = "dev.jacfn.version", "dev.jacfn.jaclang", "dev.jacfn.python"
PACKAGES = "dev.jacfn.packages"
"""The distributions in the image, `name==version` each, in one line."""
LIBC = "dev.jacfn.libc"
"""`glibc-2.36`: which wheels fit on top of the image."""


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What a registry says about an image, without its layers."""

    reference: str
    """By digest: what the manifests of Kubernetes refer to."""
    platform: str
    """`linux/amd64`; of the first image, where the reference is an index of several."""
    labels: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    """Compressed bytes of all layers: what a node pulls that has none of them."""
    user: str = ""
    digest: str = ""
    platforms: tuple[str, ...] = ()
    """All platforms that the reference has images for."""


class Versions(Protocol):
    """What a bundle's manifest says about where it runs."""

    @property
    def jacfn(self) -> str: ...
    @property
    def jaclang(self) -> str: ...
    @property
    def python(self) -> str: ...


def check_fit(info: ImageInfo, bundle: Versions, nodes: Iterable[str] = ()) -> None:
    """Raises ImageMismatch with all that does not fit: the bundle's versions, and `nodes`, the cluster's platforms."""
    step = "Build one that fits: `jacfn image runtime --push REF`, and name it as runtime_image; or deploy with --build."
    if JACFN not in info.labels:
        raise ImageMismatch(f"{info.reference} is no image of jacfn: it has no label {JACFN}", next_step=step)
    wrong = [
        f"{word}: the image has {has or 'none'}, the bundle was made with {needs}"
        for word, has, needs in (
            ("jacfn", info.labels.get(JACFN, ""), bundle.jacfn),
            ("jaclang", info.labels.get(JACLANG, ""), bundle.jaclang),
            ("Python", _minor(info.labels.get(PYTHON, "")), _minor(bundle.python)),
        )
        if has != needs
    ]
    offered = info.platforms or (info.platform,)
    missing = sorted(set(nodes) - set(offered))
    if missing:
        wrong.append(f"platform: the image is for {', '.join(offered)}, and the cluster has nodes of {', '.join(missing)}")
        step = f"Build it for {missing[0]}: `jacfn image runtime --platform {missing[0]} --push REF`."
    if wrong:
        raise ImageMismatch(f"The image {info.reference} does not fit", evidence="\n".join(wrong), next_step=step)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
