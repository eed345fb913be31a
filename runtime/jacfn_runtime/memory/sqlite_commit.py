"""One change set inside SQLite's write transaction: check everything, then write everything.

The write lock is held from before the first check, so nothing that was checked can change before the commit.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.sqlite_rows import EDGE, NODE, edge_row, id_list, node_row, to_json
from jacfn_runtime.memory.store import FORMAT, ChangeSet, Update
from jacfn_runtime.memory.writes import NodeWrite, edge_checks, edge_ends, node_writes

Ends = dict[str, tuple[str, str]]


def apply(connection: sqlite3.Connection, changes: ChangeSet, guard: bool) -> None:
    """Check and write; the caller opens and ends the transaction. Raises Conflict before anything is written."""
    falling = _edges_at(connection, changes.deleted_nodes)
    writes = node_writes(changes, guard, {end for ends in falling.values() for end in ends})
    lost = _lost_nodes(connection, changes, writes, guard) | _lost_edges(connection, changes, guard) | _taken(connection, changes)
    if lost:
        raise Conflict(lost)
    _write_nodes(connection, changes, writes)
    _write_edges(connection, changes, falling)
    connection.executemany("INSERT INTO marks (key, value) VALUES (?, ?)", changes.marks.items())


def _edges_at(connection: sqlite3.Connection, node_ids: Collection[str]) -> Ends:
    if not node_ids:
        return {}
    query = "SELECT id, source, target FROM edges WHERE source IN (SELECT value FROM json_each(?)) "
    query += "UNION SELECT id, source, target FROM edges WHERE target IN (SELECT value FROM json_each(?))"
    wanted = id_list(node_ids)
    return {edge_id: (source, target) for edge_id, source, target in connection.execute(query, (wanted, wanted))}


def _lost_nodes(connection: sqlite3.Connection, changes: ChangeSet, writes: dict[str, NodeWrite], guard: bool) -> set[str]:
    ids = writes.keys() | changes.deleted_nodes.keys()
    if not ids:
        return set()
    query = "SELECT id, version, edges_version FROM nodes WHERE id IN (SELECT value FROM json_each(?))"
    found = {node_id: (version, edges) for node_id, version, edges in connection.execute(query, (id_list(ids),))}
    lost = {
        write.id
        for write in writes.values()
        if write.id not in found
        or write.version not in (None, found[write.id][0])
        or write.edges_version not in (None, found[write.id][1])
    }
    for node_id, version in changes.deleted_nodes.items():
        relied = changes.relied_edges.get(node_id) if guard else None
        if node_id not in found or found[node_id][0] != version or relied not in (None, found[node_id][1]):
            lost.add(node_id)
    return lost


def _lost_edges(connection: sqlite3.Connection, changes: ChangeSet, guard: bool) -> set[str]:
    expected = edge_checks(changes, guard)
    if not expected:
        return set()
    query = "SELECT id, version FROM edges WHERE id IN (SELECT value FROM json_each(?))"
    found = dict(connection.execute(query, (id_list(expected),)).fetchall())
    return {edge_id for edge_id, version in expected.items() if found.get(edge_id) != version}


def _taken(connection: sqlite3.Connection, changes: ChangeSet) -> set[str]:
    taken: set[str] = set()
    for table, key, wanted in (
        ("nodes", "id", [node.id for node in changes.created_nodes]),
        ("edges", "id", [edge.id for edge in changes.created_edges]),
        ("marks", "key", list(changes.marks)),
    ):
        if wanted:
            query = f"SELECT {key} FROM {table} WHERE {key} IN (SELECT value FROM json_each(?))"  # noqa: S608  names from above
            taken |= {row[0] for row in connection.execute(query, (id_list(wanted),))}
    return taken


def _write_nodes(connection: sqlite3.Connection, changes: ChangeSet, writes: dict[str, NodeWrite]) -> None:
    ends = edge_ends(changes)
    rows = [node_row(node, node.edges_version + (node.id in ends)) for node in changes.created_nodes]
    connection.executemany(f"INSERT INTO nodes ({NODE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608  NODE is a constant
    changed = [(write.id,) for write in writes.values() if write.edges_changed]
    connection.executemany("UPDATE nodes SET edges_version = edges_version + 1 WHERE id = ?", changed)
    for update in changes.updated_nodes:
        if update.id not in changes.deleted_nodes:
            _update(connection, "nodes", update)
    connection.executemany("DELETE FROM nodes WHERE id = ?", [(node_id,) for node_id in changes.deleted_nodes])


def _write_edges(connection: sqlite3.Connection, changes: ChangeSet, falling: Ends) -> None:
    rows = [edge_row(edge) for edge in changes.created_edges]
    connection.executemany(f"INSERT INTO edges ({EDGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)  # noqa: S608  EDGE is a constant
    for update in changes.updated_edges:
        _update(connection, "edges", update)
    connection.executemany("DELETE FROM edges WHERE id = ?", [(edge_id,) for edge_id in {*falling, *changes.deleted_edges}])


def _update(connection: sqlite3.Connection, table: str, update: Update) -> None:
    query = f"SELECT type, owner, access, fields FROM {table} WHERE id = ?"  # noqa: S608  `table` is one of two constants
    kind, owner, access, fields = connection.execute(query, (update.id,)).fetchone()
    if update.set_fields:
        fields = to_json(json.loads(fields) | dict(update.set_fields))
    connection.execute(
        f"UPDATE {table} SET type = ?, owner = ?, access = ?, fields = ?, version = version + 1, format = max(format, ?) "  # noqa: S608
        "WHERE id = ?",
        (
            update.type or kind, update.owner or owner, access if update.access is None else to_json(update.access),
            fields, FORMAT, update.id,
        ),
    )  # fmt: skip
