"""Reading images from registries: one connection to each; a layer is fetched into the cache when its content is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.credentials import ANONYMOUS, Keychain
from jacfn_knative.image.errors import PlatformMissing, RegistryFault
from jacfn_knative.image.model import INDEX_TYPES, Image, Layer, Platform, choose, digest_of, layers_of, platforms_of
from jacfn_knative.image.reference import Reference
from jacfn_knative.image.registry import Registry
from jacfn_knative.report import Event, Report, silent


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference stands for at this moment."""

    reference: Reference
    """The same by digest: of the index, where it is one."""
    platforms: tuple[str, ...]
    """What it has images for."""
    image: Image


class Source:
    """The registries that one piece of work talks to, and the cache that lies before them. Use it as a context manager."""

    def __init__(self, keychain: Keychain = ANONYMOUS, blobs: Blobs | None = None, report: Report = silent) -> None:
        self.blobs = blobs or Blobs.default()
        self.report = report
        self._keychain = keychain
        self._registries: dict[str, Registry] = {}

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for registry in self._registries.values():
            registry.__exit__(kind, error, trace)

    def registry(self, reference: Reference) -> Registry:
        """The registry that `reference` lies in."""
        if reference.registry not in self._registries:
            self._registries[reference.registry] = Registry(reference.registry, self._keychain)
        return self._registries[reference.registry]

    def resolve(self, reference: Reference, platform: Platform | None) -> Resolved:
        """The image for `platform`, or for the first one that there is. Raises RegistryError, PlatformMissing."""
        registry = self.registry(reference)
        stored = registry.manifest(reference)
        found: Reference = reference.at(stored.digest)
        platforms: tuple[str, ...] = ()
        document = _document(stored.content, reference)
        if stored.media_type in INDEX_TYPES or "manifests" in document:
            platforms = platforms_of(document)
            entry = choose(document, platform or _first(platforms, reference), str(reference))
            stored = registry.manifest(reference.at(entry.digest))
            document = _document(stored.content, reference)
        config = self._config(document, reference.at(stored.digest))
        settings = _document(config, reference)
        has = Platform.of(settings)
        if platform and has != platform:
            raise PlatformMissing(
                f"{reference} is for {has}, not for {platform}",
                next_step="Build or choose one for the platform of the nodes (--platform).",
            )
        image = Image(has, config, stored.content, layers_of(document, settings, reference.at(stored.digest)))
        return Resolved(found, platforms or (str(has),), image)

    def pieces(self, layer: Layer) -> Iterator[bytes]:
        """A layer's compressed content, by way of the cache. Raises RegistryError."""
        self.fetch(layer)
        return self.blobs.read(layer.blob.digest)

    def fetch(self, layer: Layer) -> None:
        """See to it that the layer is in the cache. Raises RegistryError."""
        if self.blobs.has(layer.blob.digest):
            return
        if layer.origin is None:
            raise RegistryFault(f"The layer {layer.blob.digest} is no longer in the cache", next_step="Build the image again.")
        self.report(Event("image", str(layer.origin), f"fetching a layer of {layer.blob.size / 1e6:.1f} MB"))
        with self.registry(layer.origin).blob(layer.origin, layer.blob.digest) as content:
            self.blobs.add(layer.blob.digest, content)

    def _config(self, manifest: dict[str, Any], reference: Reference) -> bytes:
        entry = manifest.get("config")
        if not isinstance(entry, dict) or not isinstance(entry.get("digest"), str):
            raise RegistryFault(f"{reference} is no container image", evidence="Its manifest has no configuration.")
        with self.registry(reference).blob(reference, entry["digest"]) as content:
            config = b"".join(content)
        if digest_of(config) != entry["digest"]:
            raise RegistryFault(f"The configuration of {reference} arrived damaged")
        return config


def _first(platforms: tuple[str, ...], reference: Reference) -> Platform:
    """The platform to take from an index when any will do."""
    if not platforms:
        raise PlatformMissing(f"{reference} is an index without images")
    return Platform.parse(platforms[0])


def _document(content: bytes, reference: Reference) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise RegistryFault(f"What the registry has as {reference} is no manifest", evidence=str(error)) from error
    if not isinstance(document, dict):
        raise RegistryFault(f"What the registry has as {reference} is no manifest")
    return document
