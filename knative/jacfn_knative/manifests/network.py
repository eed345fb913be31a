"""Who may talk to the data services: pods of the same app, on their one port. Enforced where the cluster's network does so."""

from __future__ import annotations

from jacfn_knative.manifests.context import APP_LABEL, Context
from jacfn_knative.manifests.data import MONGODB_PORT, REDIS_PORT
from jacfn_knative.manifests.kinds import Object


def objects(context: Context) -> list[Object]:
    """One NetworkPolicy for each data service that is provisioned."""
    data = context.app.data
    wanted = [("mongodb", MONGODB_PORT)] if data.provisions_mongodb else []
    wanted += [("redis", REDIS_PORT)] if data.provisions_redis else []
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": context.metadata(f"{context.app.name}-{component}", "network"),
            "spec": {
                "podSelector": {"matchLabels": context.selector(component)},
                "policyTypes": ["Ingress"],
                "ingress": [
                    {
                        "from": [{"podSelector": {"matchLabels": {APP_LABEL: context.app.name}}}],
                        "ports": [{"protocol": "TCP", "port": port}],
                    }
                ],
            },
        }
        for component, port in wanted
    ]
