"""Image references as people write them, after the grammar of the distribution project. Pure.

python:3.12-slim                   docker.io/library/python:3.12-slim
10.201.0.1:5000/jacfn/runtime:dev  registry 10.201.0.1:5000, repository jacfn/runtime, tag dev
ghcr.io/me/app@sha256:...          a digest; with a tag as well, the digest decides and the tag is only told
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from jacfn_knative.image.errors import BadReference

DOCKER_HUB = "docker.io"
NODE_LOCAL = frozenset({"dev.local", "kind.local", "ko.local"})
"""Registries that are none: images under these names were loaded into the node. Knative does not look their tags up (its
`registries-skipping-tag-resolving` default), and neither do we."""

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image lies: `registry/repository`, and which one there is meant by tag, digest or both."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that `text` stands for; `latest` where neither tag nor digest is given. Raises BadReference."""
        name, _, digest = text.partition("@")
        head, slash, tail = name.rpartition("/")
        tail, colon, tag = tail.partition(":")
        registry, repository = _split(f"{head}{slash}{tail}")
        valid = (
            _HOST.fullmatch(registry)
            and len(repository) <= 255  # the grammar's bound on a name
            and _REPOSITORY.fullmatch(repository)
            and (_TAG.fullmatch(tag) if colon else True)
            and (_DIGEST.fullmatch(digest) if "@" in text else True)
        )
        if not valid:
            raise BadReference(
                f"{text!r} is no image reference",
                next_step="Write it as [REGISTRY[:PORT]/]NAME[:TAG][@sha256:...], in lower case, e.g. ghcr.io/me/runtime:1.0.",
            )
        return cls(registry, repository, tag or ("" if digest else "latest"), digest)

    @property
    def which(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def node_local(self) -> bool:
        """Whether the image is one that was loaded into the node, which no registry can be asked about."""
        return self.registry in NODE_LOCAL

    def at(self, digest: str) -> Reference:
        """The same repository, by digest alone: what a manifest of Kubernetes refers to."""
        return replace(self, tag="", digest=digest)

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _split(name: str) -> tuple[str, str]:
    """Registry and repository. The first part is a registry if it has a dot or a port, or is localhost: docker's rule."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.lower() != first):
        registry, repository = first, rest
    else:
        registry, repository = DOCKER_HUB, name
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DOCKER_HUB
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository


def api_host(registry: str) -> str:
    """The host that answers `/v2/` for a registry's name."""
    return "registry-1.docker.io" if registry == DOCKER_HUB else registry


def may_be_plain(registry: str) -> bool:
    """Whether plain HTTP will do where HTTPS is not spoken: loopback, private addresses, `.local` and `.localhost` names.

    The rule of go-containerregistry (crane, ko, Knative's own tag resolver), so that what we push to is what they can read.
    """
    host = registry.rpartition(":")[0] if re.search(r":[0-9]+$", registry) else registry
    host = host.strip("[]").lower()
    if host == "localhost" or host.endswith((".local", ".localhost")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private
