"""One API server: finding it, and asking it in plain objects.

The kubernetes package's dynamic client does the talking, without its discovery: that costs three requests and a cache file in a
folder that everybody can write, and the paths of our few kinds are known. The package takes 0.7 s of CPU to import, so it is
imported when somebody connects.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jacfn_knative.errors import ClusterError, NoCluster, NotAllowed, Rejected
from jacfn_knative.manifests.context import MANAGER
from jacfn_knative.manifests.kinds import Kind, Object, kind_of, reference

CONNECT_SECONDS = 4.0  # an API server that is there answers a handshake in far less, over any ocean
READ_SECONDS = 30.0  # a webhook may take 10, a large list some more
RETRY_PAUSES = (0.2, 1.0, 3.0)
PARALLEL = 8
TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105  a path


@dataclass(frozen=True)
class Cluster:
    """A connection to one API server. Safe to use from several threads."""

    context: str
    """The kubeconfig context, or `in-cluster`."""
    server: str
    _client: Any = field(repr=False)

    def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        content_type: str | None = None,
    ) -> Any:
        """The parsed answer. Raises NotAllowed (403), Rejected (other 4xx), ClusterError (5xx), NoCluster (no answer, 401)."""
        text = self.text(method, path, body, query=query, content_type=content_type)
        return json.loads(text) if text else {}

    def text(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Sequence[tuple[str, str]] = (),
        content_type: str | None = None,
    ) -> str:
        """The answer as text, for logs; raises what `request` raises."""
        from kubernetes.client.rest import ApiException
        from urllib3.exceptions import HTTPError

        try:
            response = self._client.request(
                method,
                path,
                body=body,
                query_params=list(query),
                content_type=content_type,
                serialize=False,
                _request_timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
            data: bytes = response.data
        except ApiException as error:
            if not error.status:  # the package's way to say that TLS failed
                raise unreachable(self.server, Exception(error.reason)) from None
            raise self._refusal(method, path, int(error.status or 0), _text(error.body)) from None
        except HTTPError as error:
            raise unreachable(self.server, error) from None
        return data.decode(errors="replace")

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        try:
            found: Object = self.request("get", path_of(kind, namespace, name))
        except Rejected as error:
            if error.status == 404:
                return None
            raise
        return found

    def list(self, kind: Kind, namespace: str = "", selector: str = "") -> list[Object]:
        """Objects of one kind by label, in one namespace or in all; [] where the cluster has no such kind."""
        query = [("labelSelector", selector)] if selector else []
        try:
            answer = self.request("get", path_of(kind, namespace), query=query)
        except Rejected as error:
            if error.status == 404:
                return []
            raise
        # A list leaves the kind out of its items.
        return [{"apiVersion": kind.api_version, "kind": kind.kind} | item for item in answer["items"]]

    def apply(self, item: Object, *, dry_run: bool = False) -> Object:
        """Server-side apply with our one field manager: what we once sent and do not send now goes. Sent again if the server
        stumbles: applying twice is applying once."""
        query = [("fieldManager", MANAGER), ("force", "true"), *([("dryRun", "All")] if dry_run else [])]
        path = path_of(kind_of(item), item["metadata"]["namespace"], item["metadata"]["name"])
        for pause in (*RETRY_PAUSES, None):
            try:
                answer: Object = self.request("patch", path, item, query=query, content_type="application/apply-patch+yaml")
                return answer
            except Rejected as error:
                if error.status != 429 or pause is None:
                    raise named(error, item) from None
            except ClusterError as error:
                if pause is None or isinstance(error, NotAllowed):
                    raise
            time.sleep(pause)
        raise AssertionError("unreachable")

    def create(self, item: Object) -> Object:
        """Make an object that must not be there yet."""
        path = path_of(kind_of(item), item["metadata"]["namespace"])
        try:
            answer: Object = self.request("post", path, item, query=[("fieldManager", MANAGER)])
        except Rejected as error:
            refusal = named(error, item)
            if error.status == 409:
                refusal.next_step = "Another deploy of this app is running: wait for it, then deploy again."
            raise refusal from None
        return answer

    def forget(self, secret: Object, keys: Sequence[str]) -> None:
        """Remove keys from a Secret."""
        path = path_of(kind_of(secret), secret["metadata"]["namespace"], secret["metadata"]["name"])
        body = {"data": dict.fromkeys(keys)}
        self.request("patch", path, body, query=[("fieldManager", MANAGER)], content_type="application/merge-patch+json")

    def delete(self, kind: Kind, namespace: str, name: str) -> bool:
        """Have an object removed after everything that it owns; False if it is not there."""
        try:
            self.request("delete", path_of(kind, namespace, name), query=[("propagationPolicy", "Foreground")])
        except Rejected as error:
            if error.status == 404:
                return False
            raise
        return True

    def log(self, namespace: str, pod: str, container: str, lines: int = 20) -> str:
        """The last lines of a container's log, of its last life that has any; "" if there is none to be had."""
        path = f"/api/v1/namespaces/{namespace}/pods/{quote(pod)}/log"
        for previous in ("true", "false"):
            query = [("container", container), ("tailLines", str(lines)), ("previous", previous)]
            try:
                found = self.text("get", path, query=query).strip()
            except ClusterError:
                continue
            if found and not found.startswith("unable to retrieve container logs"):  # what a kubelet says with status 200
                return found
        return ""

    def _refusal(self, method: str, path: str, status: int, body: str) -> ClusterError:
        message = _message(body)
        if status == 401:
            return NoCluster(
                f"The cluster {self.server} does not accept our credentials",
                evidence=f"context {self.context}: {message}",
                next_step="Log in again, or choose another context with --context.",
            )
        if status == 403 and " cannot " in message:  # `User "u" cannot list resource "secrets"`; quotas and policies say 403, too
            return NotAllowed(
                "The cluster does not allow this",
                evidence=message,
                next_step="Ask for the right, or choose another context or namespace.",
            )
        if 400 <= status < 500 or (status == 500 and "field not declared in schema" in message):
            # The latter: server-side apply's way to say `unknown field` (facts/knative-1.15.md 8). Sending it again is no help.
            return Rejected(f"The API server refuses {method.upper()} {path}", evidence=message, status=status)
        return ClusterError(
            f"The API server failed ({status}) at {method.upper()} {path}", evidence=message, next_step="Try again in a moment."
        )


def connect(context: str | None = None) -> Cluster:
    """Connect to the context of that name, else to the kubeconfig's current one, else to the cluster that we run in.

    Raises NoCluster: no kubeconfig, no such context, nobody answers within a few seconds, certificate, credentials.
    """
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import load_incluster_config
    from kubernetes.dynamic import DynamicClient

    configuration = Configuration()
    if _kubeconfig():
        name = _load(configuration, context)
    elif context:
        raise NoCluster(
            f"There is no kubeconfig, so there is no context {context!r}",
            evidence=f"looked at {_places()}",
            next_step="Set KUBECONFIG; without --context it is the cluster that this runs in, if it does.",
        )
    elif os.environ.get("KUBERNETES_SERVICE_HOST") and Path(TOKEN_FILE).is_file():
        load_incluster_config(client_configuration=configuration)
        name = "in-cluster"
    else:
        raise NoCluster(
            "There is no kubeconfig, so there is no cluster to deploy to",
            evidence=f"looked at {_places()}",
            next_step="Set KUBECONFIG, or start a cluster (minikube start), or use --target local: it needs none.",
        )
    configuration.retries = False  # ours know what may be sent twice
    configuration.connection_pool_maxsize = 2 * PARALLEL
    client = DynamicClient(ApiClient(configuration=configuration), discoverer=_NoDiscovery)
    cluster = Cluster(name, str(configuration.host), client)
    cluster.request("get", "/version")
    return cluster


def path_of(kind: Kind, namespace: str = "", name: str = "") -> str:
    """The URL path of a kind's list, or of one object."""
    root = f"/apis/{kind.group}" if kind.group else "/api"
    within = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{root}/{kind.version}{within}/{kind.plural}" + (f"/{quote(name)}" if name else "")


def named(error: Rejected, item: Object) -> Rejected:
    """The refusal of a write, by the object's name instead of its path."""
    next_step = ""
    if "exceeded quota" in error.evidence:
        next_step = "The namespace's quota does not admit it: raise the quota, or choose another namespace (K8s_NAMESPACE)."
    if "because it is being terminated" in error.evidence:
        next_step = "Wait until the namespace is gone, then deploy again; or choose another (K8s_NAMESPACE)."
    if error.status == 404 and 'namespaces "' in error.evidence:
        next_step = "Have the namespace created (kubectl create namespace), or choose another: K8s_NAMESPACE."
    if "updates to statefulset spec" in error.evidence:
        next_step = "A database's volume cannot be changed in place: set the old storage again, or destroy and deploy anew."
    what = f"The API server refuses {reference(item)}"
    return Rejected(what, evidence=error.evidence, next_step=next_step, status=error.status)


def unreachable(server: str, error: Exception) -> NoCluster:
    """What a failed connection means."""
    text = str(getattr(error, "reason", None) or error)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate" in text.lower():
        return NoCluster(
            f"The certificate of {server} is not trusted",
            evidence=text,
            next_step="Check certificate-authority-data of this cluster in the kubeconfig.",
        )
    return NoCluster(
        f"The cluster {server} cannot be reached",
        evidence=text,
        next_step="Is it running, and is this the right context? `kubectl config get-contexts` lists them.",
    )


def _load(configuration: Any, context: str | None) -> str:
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config
    from yaml import YAMLError

    try:
        contexts, current = list_kube_config_contexts(config_file=_kubeconfig())
        names = [item["name"] for item in contexts]
        if context and context not in names:
            raise NoCluster(
                f"The kubeconfig has no context {context!r}",
                evidence=f"It has: {', '.join(names) or 'none'}.",
                next_step="Choose one of them with --context.",
            )
        load_kube_config(config_file=_kubeconfig(), context=context, client_configuration=configuration)
    except (ConfigException, YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise NoCluster(
            "The kubeconfig cannot be used", evidence=str(error), next_step="Check it with `kubectl config view`."
        ) from None
    return context or str(current["name"])


def _kubeconfig() -> str:
    """KUBECONFIG (one path or several), else the usual place, or "". The package would read it at its import."""
    named = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    return named if any(Path(place).expanduser().is_file() for place in named.split(os.pathsep) if place) else ""


def _places() -> str:
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def _text(body: Any) -> str:
    return body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")


def _message(body: str) -> str:
    """The API server's own sentence from a Status object."""
    try:
        return str(json.loads(body).get("message") or body)
    except (ValueError, AttributeError):
        return body


class _NoDiscovery:
    """In the place of the dynamic client's discovery."""

    def __init__(self, client: Any, cache_file: str | None) -> None: ...
