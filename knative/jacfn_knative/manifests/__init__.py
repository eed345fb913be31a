"""The objects of an app: (app, capabilities) -> list of objects, one file a concern, nothing but data in and data out.

The same list serves apply, dry run, diff, export and the tests. No I/O, no clock, no randomness: the same app gives the same
objects; secrets are made elsewhere (cluster/), here they have names and keys only.
"""

from __future__ import annotations

from collections.abc import Mapping

from jacfn_knative.app import App
from jacfn_knative.capabilities import Capabilities
from jacfn_knative.manifests import account, bundle, data, fallback, function, gateway, init, network, secrets, warm
from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.kinds import Object, phase

__all__ = ["Object", "objects"]


def objects(app: App, capabilities: Capabilities, secret_versions: Mapping[str, str] | None = None) -> list[Object]:
    """Everything that the app should have in its namespace, in the order in which it is applied (see kinds.PHASES).

    `secret_versions` has a short fingerprint for each Secret by name: a pod template carries those of the Secrets that it reads,
    so that a new value reaches the pods. Raises InvalidApp for what cannot be deployed, NameCollision for two equal names.
    """
    context = Context(app, capabilities, dict(secret_versions or {}))
    found = [*account.objects(context), *secrets.objects(context), *bundle.objects(context), *network.objects(context)]
    found += [*data.objects(context), *init.objects(context)]
    if capabilities.knative:
        found += [*function.objects(context), *gateway.objects(context), *warm.objects(context)]
    else:
        found += fallback.objects(context)
    return sorted(found, key=phase)  # stable: within a phase the order above stays
