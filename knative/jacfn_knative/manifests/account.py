"""The identity of the app's pods: a service account that may do nothing, without a token in the pod."""

from __future__ import annotations

from jacfn_knative.manifests.context import Context
from jacfn_knative.manifests.kinds import Object


def objects(context: Context) -> list[Object]:
    """One ServiceAccount, named after the app."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": context.metadata(context.app.name, "account"),
            "automountServiceAccountToken": False,
        }
    ]
