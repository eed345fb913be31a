"""How nodes and edges lie in MongoDB, and what a change of one looks like as an update. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jacfn_runtime.memory.errors import FormatTooNew
from jacfn_runtime.memory.mongo_values import escape, from_bson, from_bson_fields, to_bson, to_bson_fields
from jacfn_runtime.memory.store import FORMAT, Edge, Node, Update

Document = dict[str, Any]


def node_document(node: Node, edges_version: int) -> Document:
    """A node that is created."""
    return {
        "_id": node.id,
        "type": node.type,
        "owner": node.owner,
        "access": to_bson(dict(node.access)),
        "fields": to_bson_fields(node.fields),
        "version": node.version,
        "edges_version": edges_version,
        "format": FORMAT,
    }


def edge_document(edge: Edge) -> Document:
    """An edge that is created."""
    return {
        "_id": edge.id,
        "type": edge.type,
        "source": edge.source,
        "target": edge.target,
        "undirected": edge.undirected,
        "owner": edge.owner,
        "access": to_bson(dict(edge.access)),
        "fields": to_bson_fields(edge.fields),
        "order": edge.order,
        "version": edge.version,
        "format": FORMAT,
    }


def to_node(document: Mapping[str, Any]) -> Node:
    """A stored document as a node. Raises FormatTooNew."""
    _check(document)
    return Node(
        document["_id"],
        document["type"],
        document["owner"],
        from_bson(document["access"]),
        from_bson_fields(document["fields"]),
        int(document["version"]),
        int(document["edges_version"]),
    )


def to_edge(document: Mapping[str, Any]) -> Edge:
    """A stored document as an edge. Raises FormatTooNew."""
    _check(document)
    return Edge(
        document["_id"],
        document["type"],
        document["source"],
        document["target"],
        document["undirected"],
        document["owner"],
        from_bson(document["access"]),
        from_bson_fields(document["fields"]),
        document["order"],
        int(document["version"]),
    )


def update_document(update: Update | None, *, edges_changed: bool = False) -> Document:
    """The update operators of one change; a document that is relied on and not changed gets its guard written."""
    if update is None:
        return {"$inc": {"edges_version": 1} if edges_changed else {"guard": 1}}
    values: Document = {f"fields.{escape(name)}": to_bson(value) for name, value in update.set_fields.items()}
    if update.access is not None:
        values["access"] = to_bson(dict(update.access))
    if update.owner is not None:
        values["owner"] = update.owner
    if update.type is not None:
        values["type"] = update.type
    values["format"] = FORMAT
    return {"$set": values, "$inc": {"version": 1} | ({"edges_version": 1} if edges_changed else {})}


def _check(document: Mapping[str, Any]) -> None:
    if document["format"] > FORMAT:
        raise FormatTooNew(document["format"], FORMAT)
