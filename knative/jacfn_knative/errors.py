"""The error tree of this package. It does not import the runtime's: the two rooms do not know each other.

KnativeError
|- InvalidApp          an app, name or knob that Kubernetes or Knative would refuse; nothing was written    exit 2
|  `- NameCollision    two endpoints that would get one name
|- ClusterError        the API server cannot be used
|  |- NoCluster        no kubeconfig, no such context, unreachable, certificate, credentials
|  |- NotAllowed       the API server knows us and says no
|  `- Rejected         the API server, or a webhook of it, refuses an object
|- Refused             what is in the cluster forbids this deploy or destroy; nothing was written
|  |- ForeignApp       the app belongs to another project
|  |- ForeignObject    an object of the same name that is not ours
|  `- PortTaken        the node port has another owner
|- DeployFailed        something was written and did not become ready
|- DestroyFailed       something is still there
`- ImageError          an image that cannot be read, made, pushed or used; see image/
"""

from __future__ import annotations

from collections.abc import Sequence


class KnativeError(Exception):
    """What happened, with the evidence and the next step; `exit_code` is the process's exit code when a command ends with it."""

    exit_code = 1

    def __init__(self, what: str, *, evidence: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.evidence = evidence
        self.next_step = next_step

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.evidence, self.next_step) if part)


class InvalidApp(KnativeError):
    """An app, a name or a knob that cannot be deployed as it is."""

    exit_code = 2


class NameCollision(InvalidApp):
    """Two endpoints of one app that would get the same name in the cluster."""

    def __init__(self, name: str, first: str, second: str) -> None:
        super().__init__(
            f"{first} and {second} would both be named {name} in the cluster",
            next_step="Rename one of them, or give both the same `group` so that they share one service.",
        )


class ClusterError(KnativeError):
    """The cluster's API server cannot be used, or did not do what was asked."""


class NoCluster(ClusterError):
    """There is no API server to talk to: no kubeconfig, no such context, nobody listens, or it does not accept us."""


class NotAllowed(ClusterError):
    """The API server knows who we are and does not let us do this. Found before the first write where that is possible."""


class Rejected(ClusterError):
    """The API server or one of its webhooks refuses a request; `evidence` is its own text, `status` the HTTP status."""

    def __init__(self, what: str, *, evidence: str = "", next_step: str = "", status: int = 400) -> None:
        super().__init__(what, evidence=evidence, next_step=next_step)
        self.status = status


class Refused(KnativeError):
    """What is in the cluster forbids this. Nothing was written."""


class ForeignApp(Refused):
    """An app of this name exists in the namespace and belongs to another project."""

    def __init__(self, app: str, namespace: str, owner: str, project: str) -> None:
        super().__init__(
            f"The app {app} in namespace {namespace} belongs to another project: {owner!r}, and this is {project!r}",
            evidence="Nothing was written.",
            next_step="Give this app a name of its own (app_name in [plugins.scale.kubernetes], or APP_NAME); or, if it is the"
            " same project in another folder, name the project there and here ([project] name in jac.toml).",
        )
        self.owner = owner


class ForeignObject(Refused):
    """An object that the app needs exists under the same name and is not this app's."""


class PortTaken(Refused):
    """Another Service has the node port."""


class DeployFailed(KnativeError):
    """Something did not become ready; `applied` names, as `Kind/name`, what had been written by then."""

    def __init__(self, what: str, *, evidence: str = "", next_step: str = "", applied: Sequence[str] = ()) -> None:
        super().__init__(what, evidence=evidence, next_step=next_step)
        self.applied = tuple(applied)


class DestroyFailed(KnativeError):
    """Something is still there after the time that a removal may take."""


class ImageError(KnativeError):
    """An image that cannot be read, made, pushed or used."""
