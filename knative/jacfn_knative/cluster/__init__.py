"""The only room that imports kubernetes: it finds out what a cluster can do and has, applies, watches, explains, removes.

Everything goes through one `Cluster`, which speaks plain objects; what to write is decided by the pure rooms (manifests, plan).
Nothing here prints: progress goes to a `Report`, refusals and failures are errors that name what happened and the next step.
"""

from __future__ import annotations

from jacfn_knative.cluster.addresses import Address, Row
from jacfn_knative.cluster.connection import Cluster, connect
from jacfn_knative.cluster.deploy import Deployed, carry_out, deploy
from jacfn_knative.cluster.destroy import destroy, inventory
from jacfn_knative.cluster.discover import discover
from jacfn_knative.cluster.prepare import Prepared, prepare

__all__ = [
    "Address",
    "Cluster",
    "Deployed",
    "Prepared",
    "Row",
    "carry_out",
    "connect",
    "deploy",
    "destroy",
    "discover",
    "inventory",
    "prepare",
]
