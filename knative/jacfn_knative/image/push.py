"""Moving images: into a registry, where only what is missing is sent, or into an archive file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from jacfn_knative.image.archive import write_archive
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.credentials import ANONYMOUS, Keychain
from jacfn_knative.image.errors import ImageNotFound, LoginRequired, RegistryFault, RegistryUnreachable
from jacfn_knative.image.fit import ImageInfo
from jacfn_knative.image.model import OCI_INDEX, Descriptor, Image, Platform, digest_of, index_of
from jacfn_knative.image.reference import Reference
from jacfn_knative.image.registry import Registry
from jacfn_knative.image.source import Source
from jacfn_knative.report import Event, Report, silent

_Part = tuple[Descriptor, Reference | None, Callable[[], Iterator[bytes]]]
_TRIES = 3
_NOTICE = 16 << 20  # bytes between two lines of progress


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did."""

    reference: str
    """The image by digest: what the manifests of Kubernetes refer to."""
    sent: int = 0
    """Blobs that had to be sent, and how many bytes they had."""
    sent_bytes: int = 0
    present: int = 0
    """Blobs that the repository had, or took over from another one of the same registry."""


def push(
    image: Image, reference: str, keychain: Keychain = ANONYMOUS, blobs: Blobs | None = None, report: Report = silent
) -> Pushed:
    """Put an image into a registry under a name. Raises BadReference, RegistryError (wrong password, no right to push, ...)."""
    target = Reference.parse(reference)
    with Source(keychain, blobs, report) as source:
        return _push(image, target, source)


def check_push(reference: str, keychain: Keychain = ANONYMOUS) -> None:
    """Find out whether `push` would be let in, before anything is built. Raises what `push` would raise; changes nothing."""
    target = Reference.parse(reference)
    with Registry(target.registry, keychain) as registry:
        registry.check_push(target)


def push_index(
    images: Sequence[Image], reference: str, keychain: Keychain = ANONYMOUS, blobs: Blobs | None = None, report: Report = silent
) -> Pushed:
    """Put images of several platforms into a registry under one name: each node pulls its own. Raises as `push` does."""
    target = Reference.parse(reference)
    with Source(keychain, blobs, report) as source:
        pushed = [_push(image, replace(target, tag="", digest=""), source) for image in images]
        index = index_of(images)
        source.registry(target).put_manifest(target, OCI_INDEX, index)
    sent, sent_bytes = sum(each.sent for each in pushed), sum(each.sent_bytes for each in pushed)
    return Pushed(str(target.at(digest_of(index))), sent, sent_bytes, sum(each.present for each in pushed))


def read_image(
    reference: str,
    platform: str = "linux/amd64",
    keychain: Keychain = ANONYMOUS,
    blobs: Blobs | None = None,
    report: Report = silent,
) -> Image:
    """An image of a registry, to build on or to copy. Its layers stay there until they are needed. Raises RegistryError."""
    with Source(keychain, blobs, report) as source:
        return source.resolve(Reference.parse(reference), Platform.parse(platform)).image


def inspect(reference: str, keychain: Keychain = ANONYMOUS) -> ImageInfo:
    """What a registry says about an image. Raises RegistryError: ImageNotFound, LoginRequired, RegistryUnreachable, ..."""
    with Source(keychain) as source:
        found = source.resolve(Reference.parse(reference), None)
    image = found.image
    settings = json.loads(image.config).get("config") or {}
    return ImageInfo(
        reference=str(found.reference),
        platform=str(image.platform),
        labels=image.labels,
        size=sum(layer.blob.size for layer in image.layers),
        user=str(settings.get("User") or ""),
        digest=found.reference.digest,
        platforms=found.platforms,
    )


def anonymous_pull_works(reference: str) -> bool:
    """Whether nodes can pull the image without a secret. Raises RegistryUnreachable, RegistryFault: nobody knows."""
    target = Reference.parse(reference)
    try:
        with Registry(target.registry, ANONYMOUS) as registry:
            return registry.has_manifest(target)
    except (LoginRequired, ImageNotFound):
        return False


def save(
    image: Image, reference: str, path: Path, keychain: Keychain = ANONYMOUS, blobs: Blobs | None = None, report: Report = silent
) -> None:
    """Write an image to an archive for `ctr images import`, `kind load image-archive`, `minikube image load`, `docker load`.

    `reference` is the name that the image will have there. Raises ImageError.
    """
    name = Reference.parse(reference)
    with Source(keychain, blobs, report) as source:
        for layer in image.layers:
            source.fetch(layer)
        write_archive(image, name, path, source.blobs)
    report(Event("image", str(path), f"written: {amount(path.stat().st_size)}"))


def amount(size: int) -> str:
    """So many bytes, as a person reads them: `61.4 MB`, `3.2 kB`."""
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{size / 1e3:.1f} kB"


def _push(image: Image, target: Reference, source: Source) -> Pushed:
    registry, sent, sent_bytes = source.registry(target), 0, 0
    layers = [(layer.blob, layer.origin, partial(source.pieces, layer)) for layer in image.layers]
    parts: list[_Part] = [*layers, (image.config_descriptor, None, lambda: iter((image.config,)))]
    for blob, origin, pieces in parts:
        if _send(registry, target, blob, origin, pieces, source.report):
            sent, sent_bytes = sent + 1, sent_bytes + blob.size
    registry.put_manifest(target if target.tag else target.at(image.digest), image.media_type, image.manifest)
    result = Pushed(str(target.at(image.digest)), sent, sent_bytes, len(parts) - sent)
    source.report(Event("image", result.reference, f"pushed: {sent} of {len(parts)} blobs sent, {amount(sent_bytes)}"))
    return result


def _send(
    registry: Registry,
    target: Reference,
    blob: Descriptor,
    origin: Reference | None,
    pieces: Callable[[], Iterator[bytes]],
    report: Report,
) -> bool:
    """Whether a blob had to be sent. A transfer that breaks off is started again."""
    if registry.has_blob(target, blob.digest):
        return False
    for left in range(_TRIES - 1, -1, -1):
        url = registry.mount(target, blob.digest, origin)
        if not url:
            return False
        try:
            registry.upload(target, blob, url, lambda: _told(pieces(), blob, report))
            return True
        except (RegistryUnreachable, RegistryFault):
            if not left:
                raise
            report(Event("image", blob.digest, "the transfer broke off: trying again"))
    raise AssertionError("unreachable")


def _told(pieces: Iterator[bytes], blob: Descriptor, report: Report) -> Iterator[bytes]:
    """The pieces, with a line of progress now and then."""
    done = told = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        if done - told >= _NOTICE or (done == blob.size and done > 1 << 20):
            told = done
            report(Event("image", blob.digest[7:19], f"sent {done / 1e6:.0f} of {blob.size / 1e6:.0f} MB"))
