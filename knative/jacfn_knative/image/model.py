"""What an image is: descriptors, layers, configuration and manifest, as the OCI image specification 1.1 has them. Pure.

JSON that is made here is deterministic: the same image gives the same bytes, and so the same digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jacfn_knative.image.errors import BadReference, PlatformMissing, RegistryFault
from jacfn_knative.image.reference import Reference

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPES = (OCI_INDEX, DOCKER_INDEX)
MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
_OCI_NAMES = {  # Docker's layers are OCI's under another name
    "application/vnd.docker.image.rootfs.diff.tar.gzip": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
}
_PLATFORM = re.compile(r"([a-z0-9]+)/([a-z0-9_]+)(?:/([a-z0-9]+))?")
_OUR_VARIANTS = {"arm64": "v8"}  # the only variant of arm64 there is, so naming it or not is the same


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system and processor, in Go's words: `linux/amd64`, `linux/arm64`."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform that `text` names. Raises BadReference."""
        found = _PLATFORM.fullmatch(text)
        if not found:
            raise BadReference(f"{text!r} is no platform", next_step="Write it as linux/amd64 or linux/arm64.")
        os, architecture, variant = found.groups(default="")
        return cls(os, architecture, "" if variant == _OUR_VARIANTS.get(architecture) else variant)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Platform:
        """The platform of an index entry or of an image configuration."""
        architecture, variant = str(document.get("architecture", "")), str(document.get("variant", ""))
        return cls(str(document.get("os", "")), architecture, "" if variant == _OUR_VARIANTS.get(architecture) else variant)

    def document(self) -> dict[str, str]:
        """Its JSON object."""
        parts = {"os": self.os, "architecture": self.architecture, "variant": self.variant}
        return {name: value for name, value in parts.items() if value}

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob or manifest by its content: `sha256:...` and the number of bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, media_type: str, content: bytes) -> Descriptor:
        """The descriptor of content at hand."""
        return cls(media_type, digest_of(content), len(content))

    def document(self) -> dict[str, Any]:
        """Its JSON object."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: the compressed blob, the digest of what is in it, and where the blob can be had."""

    blob: Descriptor
    diff_id: str
    origin: Reference | None = None
    """The image that has it, in a registry; None: it is in the cache on disk."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image for one platform. Its layers may still lie in another registry: they move when it is pushed or saved."""

    platform: Platform
    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """The digest by which the image is referred to."""
        return digest_of(self.manifest)

    @property
    def media_type(self) -> str:
        """What its manifest calls itself: Docker's, where the image was copied as it was."""
        return str(json.loads(self.manifest).get("mediaType") or OCI_MANIFEST)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its configuration."""
        return labels_of(json.loads(self.config))

    @property
    def config_descriptor(self) -> Descriptor:
        """The descriptor of its configuration."""
        return Descriptor.of(OCI_CONFIG, self.config)


@dataclass(frozen=True, slots=True)
class Process:
    """How a container of the image runs. Only what is given replaces what the base says."""

    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = ""
    port: int = 0


def digest_of(content: bytes) -> str:
    """`sha256:` and the hexadecimal digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def canonical(document: Any) -> bytes:
    """JSON with one spelling: keys sorted, no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def labels_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an image configuration."""
    labels = (config.get("config") or {}).get("Labels") or {}
    return {str(name): str(value) for name, value in labels.items()}


def index_of(images: Sequence[Image]) -> bytes:
    """One name for images of several platforms."""
    entries = [
        Descriptor.of(image.media_type, image.manifest).document() | {"platform": image.platform.document()}
        for image in sorted(images, key=lambda image: str(image.platform))
    ]
    return canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def choose(index: Mapping[str, Any], platform: Platform, name: str) -> Descriptor:
    """The manifest for `platform` in an image index. Raises PlatformMissing that lists what there is."""
    for entry in index.get("manifests") or []:
        if Platform.of(entry.get("platform") or {}) == platform:
            return Descriptor(str(entry["mediaType"]), str(entry["digest"]), int(entry["size"]))
    raise PlatformMissing(
        f"{name} is not there for {platform}",
        evidence=f"It is there for: {', '.join(platforms_of(index)) or 'no platform at all'}.",
        next_step="Choose one of these with --platform, or another base image with --base.",
    )


def platforms_of(index: Mapping[str, Any]) -> tuple[str, ...]:
    """What an image index has images for, sorted. Attestations stand in it under an unknown platform."""
    platforms = {str(Platform.of(entry.get("platform") or {})) for entry in index.get("manifests") or []}
    return tuple(sorted(platforms - {"", "unknown/unknown"}))


def layers_of(manifest: Mapping[str, Any], config: Mapping[str, Any], origin: Reference) -> tuple[Layer, ...]:
    """The layers of an image that lies in a registry. Raises RegistryFault if manifest and configuration do not agree."""
    diff_ids = list((config.get("rootfs") or {}).get("diff_ids") or [])
    entries = list(manifest.get("layers") or [])
    if len(diff_ids) != len(entries):
        raise RegistryFault(f"{origin} has {len(entries)} layers and {len(diff_ids)} of them in its configuration")
    return tuple(
        Layer(Descriptor(_OCI_NAMES.get(entry["mediaType"], entry["mediaType"]), entry["digest"], entry["size"]), diff_id, origin)
        for entry, diff_id in zip(entries, diff_ids, strict=True)
    )


def extend(
    config: Mapping[str, Any], layers: Sequence[Layer], added: Sequence[Layer], process: Process, labels: Mapping[str, str]
) -> Image:
    """The image with configuration `config` and `layers`, with more layers on top, its process and labels changed."""
    all_layers = (*layers, *added)
    settings = dict(config.get("config") or {})
    environment = dict(item.partition("=")[::2] for item in settings.get("Env") or []) | dict(process.environment)
    settings["Env"] = [f"{name}={value}" for name, value in environment.items()]
    settings["Labels"] = dict(sorted((labels_of(config) | dict(labels)).items()))
    if process.entrypoint:
        settings["Entrypoint"] = list(process.entrypoint)
        settings.pop("Cmd", None)  # the base's shell or prompt would become an argument of ours
    if process.user:
        settings["User"] = process.user
    if process.folder:
        settings["WorkingDir"] = process.folder
    if process.port:
        settings["ExposedPorts"] = {f"{process.port}/tcp": {}}
    created = str(config.get("created") or "1970-01-01T00:00:00Z")  # the base's own time: ours would change the digest every time
    document: dict[str, Any] = {
        **{name: config[name] for name in ("architecture", "os", "variant", "os.version") if config.get(name)},
        "created": created,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in all_layers]},
        "history": [
            *(config.get("history") or []),
            *({"created": created, "created_by": "jacfn", "comment": layer.comment} for layer in added),
        ],
    }
    encoded = canonical(document)
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": Descriptor.of(OCI_CONFIG, encoded).document(),
        "layers": [layer.blob.document() for layer in all_layers],
        "annotations": settings["Labels"],
    }
    return Image(Platform.of(document), encoded, canonical(manifest), all_layers)
