"""Another process at a store: `python store_worker.py KIND ADDRESS REDIS APP JOB ARGUMENT COUNT`. Prints a line per acknowledged
commit.

KIND is sqlite or mongodb, REDIS may be empty. Jobs: `increment NODE` (field n, by read and write), `append NODE` (blind),
`pairs NODE` (two nodes and an edge between them, hung to NODE, in one commit).
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import store_scenes as scenes
from jacfn_runtime.memory.errors import Conflict
from jacfn_runtime.memory.redis import RedisStore
from jacfn_runtime.memory.store import ChangeSet, Store, Update
from jacfn_runtime.memory.truth import Truth


def open_store(kind: str, address: str, redis_url: str, app: str) -> Store:
    truth: Truth
    if kind == "sqlite":
        from jacfn_runtime.memory.sqlite import SqliteStore

        truth = SqliteStore(Path(address))
    else:
        from jacfn_runtime.memory.mongo import MongoStore

        truth = MongoStore(address, app)
    return RedisStore(truth, redis_url, app) if redis_url else truth


def increment(store: Store, node_id: str) -> str:
    """One unit of work that reads and writes, replayed until it wins."""
    while True:
        reader = store.reader()
        try:
            found = reader.nodes([node_id])[node_id]
        finally:
            reader.close()
        try:
            store.commit(ChangeSet(updated_nodes=(Update(node_id, found.version, {"n": found.fields["n"] + 1}),)))
            return str(found.fields["n"] + 1)
        except Conflict:
            time.sleep(random.uniform(0, 0.01))


def append(store: Store, node_id: str) -> str:
    leaf = scenes.node()
    scenes.create(store, leaf, scenes.edge(node_id, leaf))
    return leaf.id


def pairs(store: Store, node_id: str) -> str:
    one, other = scenes.node(), scenes.node()
    scenes.create(store, one, other, scenes.edge(one, other), scenes.edge(node_id, one))
    return one.id


def main(kind: str, address: str, redis_url: str, app: str, job: str, argument: str, count: str) -> None:
    store = open_store(kind, address, redis_url, app)
    work = {"increment": increment, "append": append, "pairs": pairs}[job]
    for _ in range(int(count)):
        print(work(store, argument), flush=True)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
