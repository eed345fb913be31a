"""The init Job: prepares the stores and runs `with entry` once, after the data services and before the functions.

Named after the bundle, and after everything else in its template: the same program on another image or another database is
prepared again (which is harmless, seeds are marked in the store), an unchanged one is not.
"""

from __future__ import annotations

import hashlib

from jacfn_knative.manifests import pods
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.kinds import Object

DEADLINE_SECONDS = 600


def objects(context: Context) -> list[Object]:
    """One Job. It is tried once: a program that raises would raise again, and the deploy shows why."""
    env = pods.environment(context, "all", context.app.endpoints)
    if context.app.run_main:
        env.append({"name": "JACFN_MAIN", "value": "1"})
    container = pods.container(context, env, command=[*pods.COMMAND, "init"])
    template = {
        "metadata": {
            "labels": context.labels("init"),
            "annotations": context.fingerprint("mongodb", "redis", "env"),
        },
        "spec": pods.spec(context, container) | {"restartPolicy": "Never"},
    }
    mark = hashlib.sha256(pods.compact(template).encode()).hexdigest()[:6]
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        # A pod that a node's drain took away is no verdict on the program.
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
        "template": template,
    }
    name = f"{context.app.name}-init-{context.app.bundle.hash[:8]}-{mark}"
    return [{"apiVersion": "batch/v1", "kind": "Job", "metadata": context.metadata(name, "init"), "spec": spec}]
