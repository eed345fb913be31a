"""What a cluster can do, as far as manifests depend on it. Pure data; cluster/ finds it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["knative", "deployment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """One cluster, seen from one namespace."""

    knative: bool
    """`serving.knative.dev/v1` is served: an answer of 404 says no, everything else but 200 is an error and no answer."""
    knative_version: str = ""
    """`1.15.2`, or a lower bound like `1.19+` where the namespace may not be read, or ""."""
    kubernetes_version: str = ""
    autoscaling_v2: bool = True
    metrics_server: bool = True
    """Without it the HorizontalPodAutoscaler is inert."""
    eks: bool = False
    """Amazon EKS: a Network Load Balancer instead of a node port."""

    @property
    def mode(self) -> Mode:
        """How apps are deployed here; recorded on every object as `jacfn.dev/deployer`."""
        return "knative" if self.knative else "deployment"
