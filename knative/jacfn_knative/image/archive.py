"""An image as one file, for clusters without a registry: an OCI layout that is also what `docker save` writes.

containerd (`ctr images import`, kind) reads index.json, docker and minikube read manifest.json; both point to the same blobs.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

from jacfn_knative.errors import ImageError
from jacfn_knative.image.blobs import Blobs
from jacfn_knative.image.layer import TIME
from jacfn_knative.image.model import OCI_INDEX, Descriptor, Image, canonical
from jacfn_knative.image.reference import Reference


def write_archive(image: Image, name: Reference, path: Path, blobs: Blobs) -> None:
    """Write the archive; all layers must be in the cache. The file appears when it is complete. Raises ImageError."""
    part = path.with_name(f"{path.name}.part")
    try:
        with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as tar:
            for file, content in _documents(image, name).items():
                _add(tar, file, content)
            for digest in dict.fromkeys(layer.blob.digest for layer in image.layers):  # two layers may be the same blob
                _add(tar, _blob(digest), blobs.path(digest))
        part.replace(path)
    except OSError as error:
        raise ImageError(f"The archive {path} cannot be written", evidence=str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def _documents(image: Image, name: Reference) -> dict[str, bytes]:
    tag = f"{name.name}:{name.tag or 'latest'}"
    entry: dict[str, Any] = {
        **Descriptor.of(image.media_type, image.manifest).document(),
        "platform": image.platform.document(),
        "annotations": {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": name.tag or "latest"},
    }
    docker = {
        "Config": _blob(image.config_descriptor.digest),
        "RepoTags": [tag],
        "Layers": [_blob(each.blob.digest) for each in image.layers],
    }
    return {
        "oci-layout": canonical({"imageLayoutVersion": "1.0.0"}),
        "index.json": canonical({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}),
        "manifest.json": canonical([docker]),
        _blob(image.digest): image.manifest,
        _blob(image.config_descriptor.digest): image.config,
    }


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.mtime = 0o644, TIME
    if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        return
    with content.open("rb") as file:
        entry.size = content.stat().st_size
        tar.addfile(entry, file)
