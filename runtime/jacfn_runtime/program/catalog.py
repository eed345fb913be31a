"""The catalog: which endpoints a program has, as plain data. Pure: nothing here reads a file or runs a program.

It crosses every wall of the project (to the manifests, to OpenAPI, to `--faux`) as the JSON of `to_json`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["walker", "function"]
Access = Literal["", "pub", "protect", "priv"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a walker or one parameter of a function."""

    name: str
    type: str
    """The type as the program spells it, e.g. `list[float]`."""
    required: bool
    default: str | None = None
    """The default's source text; None where there is none."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One walker or one function that HTTP can reach."""

    kind: Kind
    name: str
    access: Access
    parameters: tuple[Parameter, ...]
    returns: str = ""
    schema: dict[str, Any]
    """JSON Schema 2020-12 of the request body; `$ref`s point to `#/components/schemas/<name>`, kept in `Catalog.definitions`."""
    is_async: bool = False
    doc: str = ""
    module: str
    """The Python module name under which the program imports it, e.g. `main`."""
    file: str
    """Path relative to the entry file's folder."""
    line: int

    @property
    def id(self) -> str:
        """`walker/create_item`: the URL path without the leading slash, and the word for this endpoint everywhere."""
        return f"{self.kind}/{self.name}"

    @property
    def public(self) -> bool:
        """Only `: pub` lets a caller in without a token; no modifier means protected."""
        return self.access == "pub"


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """A program's endpoints, sorted by id."""

    entry: str
    """The entry file's name, e.g. `main.jac`."""
    endpoints: tuple[Endpoint, ...]
    definitions: dict[str, dict[str, Any]] = {}
    """JSON Schemas of the program's own objects, enums and nodes, by name."""

    def __getitem__(self, endpoint_id: str) -> Endpoint:
        """The endpoint with this id. Raises KeyError."""
        for endpoint in self.endpoints:
            if endpoint.id == endpoint_id:
                return endpoint
        raise KeyError(endpoint_id)

    def to_json(self) -> bytes:
        """Deterministic JSON: the same catalog gives the same bytes."""
        return msgspec.json.encode(self, order="deterministic")

    @classmethod
    def from_json(cls, data: bytes) -> Catalog:
        """Inverse of `to_json`. Raises msgspec.ValidationError for anything else."""
        return msgspec.json.decode(data, type=cls)
