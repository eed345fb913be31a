"""Finding the API server: every way in which that fails is told apart, within seconds."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jacfn_knative.cluster import connect, connection
from jacfn_knative.cluster.connection import Cluster, path_of
from jacfn_knative.cluster.deploy import _remove, _takes_port, _write
from jacfn_knative.cluster.discover import discover
from jacfn_knative.cluster.parallel import each
from jacfn_knative.cluster.preflight import check_access, check_placeholders, namespace_exists
from jacfn_knative.errors import ClusterError, ForeignObject, NoCluster, NotAllowed, Rejected
from jacfn_knative.manifests.kinds import KINDS, KNATIVE_SERVICE
from jacfn_knative.plan import Change, plan, stamped
from jacfn_knative.report import silent
from knative.apps import BARE, SHOP, made
from servers import free_port

FORBIDDEN = {"message": 'namespaces "trade" is forbidden: User "u" cannot get resource "namespaces" in the namespace "trade"'}
SECRET = next(kind for kind in KINDS if kind.kind == "Secret")


class Api(BaseHTTPRequestHandler):
    """Answers `METHOD path` from the server's table: (status, body); 404 for the rest."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.seen.append((self.command, self.path, body))
        key = f"{self.command} {self.path.partition('?')[0]}"
        status, found = server.table.get(key, (404, {"kind": "Status", "message": "not found"}))
        if callable(found):
            found = found(json.loads(body))
        text = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def api() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    server.table, server.seen = {"GET /version": (200, {"gitVersion": "v1.36.3"})}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the kubeconfig lead to a server."""

    def write(server: str) -> None:
        path = tmp_path / "kubeconfig"
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }  # fmt: skip
        path.write_text(json.dumps(config))
        monkeypatch.setenv("KUBECONFIG", str(path))

    return write


@pytest.fixture
def cluster(api: Any, kubeconfig: Callable[[str], None]) -> Iterator[Cluster]:
    kubeconfig(f"http://127.0.0.1:{api.server_port}")
    found = connect()
    yield found
    found._client.client.rest_client.pool_manager.clear()


def test_a_connection_knows_its_context_and_server_and_shows_no_credentials(cluster: Cluster) -> None:
    assert cluster.context == "here" and cluster.server.startswith("http://127.0.0.1")
    assert "_client" not in repr(cluster)


def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NoCluster, match="no kubeconfig") as refused:
        connect()
    assert "--target local" in refused.value.next_step


def test_a_context_is_never_taken_for_the_cluster_that_this_runs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("t")
    monkeypatch.setattr(connection, "TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NoCluster, match="no context 'prod'"):
        connect("prod")


@pytest.mark.parametrize("text", [b"{}", b"{[ :", b"\xff\xfe", b"hello"])
def test_a_kubeconfig_that_is_none(text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubeconfig").write_bytes(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(NoCluster, match="cannot be used"):
        connect()


def test_an_unknown_context_is_refused_with_those_that_there_are(kubeconfig: Callable[[str], None]) -> None:
    kubeconfig("http://127.0.0.1:1")
    with pytest.raises(NoCluster, match="no context 'there'") as refused:
        connect("there")
    assert "here" in refused.value.evidence


def test_nobody_listens(kubeconfig: Callable[[str], None]) -> None:
    port = free_port()
    kubeconfig(f"https://127.0.0.1:{port}")
    with pytest.raises(NoCluster, match=f"https://127.0.0.1:{port} cannot be reached"):
        connect()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, NoCluster, "credentials"),
        (403, NotAllowed, "not allow"),
        (404, Rejected, "refuses"),
        (500, ClusterError, "failed"),
    ],
)
def test_each_status_says_what_it_means(
    api: Any, kubeconfig: Callable[[str], None], status: int, kind: type[ClusterError], said: str
) -> None:
    kubeconfig(f"http://127.0.0.1:{api.server_port}")
    api.table["GET /version"] = (status, {"kind": "Status", "message": "in the server's own words: User cannot get it"})
    with pytest.raises(kind, match=said) as refused:
        connect()
    assert "in the server's own words" in refused.value.evidence


def test_paths_are_those_of_the_api() -> None:
    assert path_of(SECRET, "trade", "a b") == "/api/v1/namespaces/trade/secrets/a%20b"
    assert path_of(KNATIVE_SERVICE, "trade") == "/apis/serving.knative.dev/v1/namespaces/trade/services"
    assert path_of(SECRET) == "/api/v1/secrets"


def test_what_is_not_there_is_none_and_a_kind_that_is_not_there_is_empty(cluster: Cluster) -> None:
    assert cluster.get(SECRET, "trade", "x") is None
    assert cluster.list(KNATIVE_SERVICE, "trade") == []
    assert cluster.delete(SECRET, "trade", "x") is False


def test_a_list_is_of_objects_with_their_kind(api: Any, cluster: Cluster) -> None:
    api.table["GET /api/v1/namespaces/trade/secrets"] = (200, {"items": [{"metadata": {"name": "a"}}]})
    assert cluster.list(SECRET, "trade", "x=y") == [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}]
    assert api.seen[-1][1].endswith("labelSelector=x%3Dy")


def test_an_apply_names_its_one_field_manager(api: Any, cluster: Cluster) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "trade"}}
    api.table["PATCH /api/v1/namespaces/trade/secrets/a"] = (200, item)
    assert cluster.apply(item) == item
    assert "fieldManager=jacfn" in api.seen[-1][1] and "force=true" in api.seen[-1][1] and "dryRun" not in api.seen[-1][1]
    cluster.apply(item, dry_run=True)
    assert "dryRun=All" in api.seen[-1][1]


def test_a_refused_apply_is_not_sent_again_and_is_named_by_the_object(api: Any, cluster: Cluster) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "trade"}}
    api.table["PATCH /api/v1/namespaces/trade/secrets/a"] = (422, {"message": "Invalid value"})
    with pytest.raises(Rejected, match="Secret/a") as refused:
        cluster.apply(item)
    assert refused.value.evidence == "Invalid value"
    assert len([seen for seen in api.seen if seen[0] == "PATCH"]) == 1


def test_an_apply_that_is_not_allowed_is_not_sent_again(api: Any, cluster: Cluster) -> None:
    path = "/api/v1/namespaces/n/secrets/s"
    api.table[f"PATCH {path}"] = (403, {"message": 'secrets "s" is forbidden: User "u" cannot patch resource "secrets"'})
    with pytest.raises(NotAllowed):
        cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}})
    assert len([seen for seen in api.seen if seen[0] == "PATCH"]) == 1


def test_a_quota_is_a_refusal_although_the_server_says_403(api: Any, cluster: Cluster) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "trade"}}
    message = (
        'secrets "a" is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0'
    )
    api.table["PATCH /api/v1/namespaces/trade/secrets/a"] = (403, {"message": message})
    with pytest.raises(Rejected, match="Secret/a") as refused:
        cluster.apply(item)
    assert refused.value.status == 403 and "quota" in refused.value.next_step


@pytest.mark.parametrize(
    ("status", "message", "advice"),
    [
        (403, "unable to create new content in namespace trade because it is being terminated", "Wait until"),
        (404, 'namespaces "trade" not found', "Have the namespace created"),
    ],
)
def test_a_namespace_that_is_not_there_or_goes_is_a_refusal_with_the_way_out(
    api: Any, cluster: Cluster, status: int, message: str, advice: str
) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "trade"}}
    api.table["PATCH /api/v1/namespaces/trade/secrets/a"] = (status, {"message": message})
    with pytest.raises(Rejected) as refused:
        cluster.apply(item)
    assert advice in refused.value.next_step


def test_an_unknown_field_is_a_refusal_although_the_server_says_500(api: Any, cluster: Cluster) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "trade"}}
    message = "failed to create typed patch object (NS/X): .spec.template.spec.hostNetwork: field not declared in schema"
    api.table["PATCH /api/v1/namespaces/trade/secrets/a"] = (500, {"message": message})
    with pytest.raises(Rejected):
        cluster.apply(item)


def test_a_secret_that_somebody_else_just_made_is_another_deploy(api: Any, cluster: Cluster) -> None:
    api.table["POST /api/v1/namespaces/trade/secrets"] = (409, {"message": "already exists"})
    with pytest.raises(Rejected) as refused:
        cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "trade"}})
    assert "Another deploy" in refused.value.next_step


def test_a_log_that_the_kubelet_lost_is_no_log(api: Any, cluster: Cluster) -> None:
    api.table["GET /api/v1/namespaces/trade/pods/p/log"] = (200, "x")
    assert cluster.log("trade", "p", "c") == '"x"'
    assert cluster.log("trade", "gone", "c") == ""


def review(*allowed: tuple[str, str]) -> Callable[[Any], Any]:
    """A SelfSubjectAccessReview that allows these (verb, resource)."""

    def answer(body: Any) -> Any:
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": (asked["verb"], asked["resource"]) in allowed}}

    return answer


REVIEWS = "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def test_who_may_do_everything_is_asked_once(api: Any, cluster: Cluster) -> None:
    api.table[REVIEWS] = (201, review(("*", "*")))
    check_access(cluster, "trade", [(SECRET, "list"), (KNATIVE_SERVICE, "create")])
    assert len([seen for seen in api.seen if seen[0] == "POST"]) == 1


def test_every_missing_right_is_named_at_once(api: Any, cluster: Cluster) -> None:
    api.table[REVIEWS] = (201, review(("list", "secrets")))
    rights = [(SECRET, "list"), (SECRET, "create"), (KNATIVE_SERVICE, "create")]
    with pytest.raises(NotAllowed, match="not allowed to do this in namespace trade") as refused:
        check_access(cluster, "trade", rights)
    assert refused.value.evidence == "missing: create: secrets, services.serving.knative.dev"
    assert "kubectl auth can-i" in refused.value.next_step
    api.table[REVIEWS] = (201, review(("list", "secrets"), ("create", "secrets"), ("create", "services")))
    check_access(cluster, "trade", rights)


def test_a_namespace_is_there_missing_or_not_for_us_to_see(api: Any, cluster: Cluster) -> None:
    api.table["GET /api/v1/namespaces/trade"] = (200, {})
    assert namespace_exists(cluster, "trade")
    api.table["GET /api/v1/namespaces/trade"] = (403, FORBIDDEN)
    assert namespace_exists(cluster, "trade")  # whoever may not look is taken to know
    api.table[REVIEWS] = (201, review(("create", "namespaces")))
    assert not namespace_exists(cluster, "new")
    api.table[REVIEWS] = (201, review())
    with pytest.raises(NotAllowed, match="no namespace new"):
        namespace_exists(cluster, "new")


def test_a_service_that_knative_would_need_the_name_of_is_found_before_any_write(api: Any, cluster: Cluster) -> None:
    metadata = {"name": "shop-service", "namespace": "n"}
    create = Change("create", {"apiVersion": KNATIVE_SERVICE.api_version, "kind": "Service", "metadata": metadata})
    check_placeholders(cluster, [create])  # there is none
    path = "GET /api/v1/namespaces/n/services/shop-service"
    api.table[path] = (200, {"metadata": metadata | {"labels": {"jacfn.dev/app": "shop"}}})
    with pytest.raises(ForeignObject, match="Service/shop-service exists in namespace n and belongs to the app shop"):
        check_placeholders(cluster, [create])
    check_placeholders(cluster, [replace(create, action="keep")])
    owner = {"apiVersion": "serving.knative.dev/v1", "kind": "Route", "name": "shop-service", "controller": True}
    api.table[path] = (200, {"metadata": metadata | {"ownerReferences": [owner]}})
    check_placeholders(cluster, [create])


def test_a_bundle_that_a_revision_has_mounted_since_the_plan_is_not_removed(api: Any, cluster: Cluster) -> None:
    def config_map(name: str) -> Change:
        return Change("delete", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "trade"}})

    sources = [{"configMap": {"name": "shop-bundle-a"}}]
    revision = {"metadata": {"name": "shop-00002"}, "spec": {"volumes": [{"name": "b", "projected": {"sources": sources}}]}}
    api.table["GET /apis/serving.knative.dev/v1/namespaces/trade/revisions"] = (200, {"items": [revision]})
    for name in ("shop-bundle-a", "shop-bundle-b"):
        api.table[f"DELETE /api/v1/namespaces/trade/configmaps/{name}"] = (200, {})
    _remove(cluster, SHOP, [config_map("shop-bundle-a"), config_map("shop-bundle-b")], silent)
    deleted = [path.partition("?")[0].rpartition("/")[2] for method, path, _ in api.seen if method == "DELETE"]
    assert deleted == ["shop-bundle-b"]


def test_a_key_that_a_secret_was_created_with_goes_although_an_apply_would_leave_it(api: Any, cluster: Cluster) -> None:
    metadata = {"name": "shop-env", "namespace": "trade"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"A": "YQ=="}}
    api.table["PATCH /api/v1/namespaces/trade/secrets/shop-env"] = (200, secret | {"data": {"A": "YQ==", "B": "Yg=="}})
    _write(cluster, [Change("update", secret)], [], silent)
    assert json.loads(api.seen[-1][2]) == {"data": {"B": None}}
    seen = len(api.seen)
    api.table["PATCH /api/v1/namespaces/trade/secrets/shop-env"] = (200, secret)
    _write(cluster, [Change("update", secret)], [], silent)
    assert len(api.seen) == seen + 1


def test_a_node_port_is_taken_before_anything_else_unless_it_leads_to_other_pods_then() -> None:
    front = made()["Service/shop-service"]
    assert _takes_port(Change("create", front))
    moved = made(replace(SHOP, node_port=30077))["Service/shop-service"]
    (change,) = plan([moved], [stamped(front)])
    assert change.action == "update" and _takes_port(change)
    (other_mode,) = plan([made(replace(SHOP, node_port=30077), BARE)["Service/shop-service"]], [stamped(front)])
    assert other_mode.action == "update" and not _takes_port(other_mode)
    assert not _takes_port(Change("keep", front)) and not _takes_port(Change("create", made()["ksvc/shop"]))


def test_knative_is_absent_only_if_the_server_says_so(api: Any, cluster: Cluster) -> None:
    assert discover(cluster).mode == "deployment"
    api.table["GET /apis/serving.knative.dev"] = (200, {"versions": [{"version": "v1"}]})
    assert discover(cluster).mode == "knative"
    for status in (403, 500, 503):
        api.table["GET /apis/serving.knative.dev"] = (status, {"message": "no"})
        with pytest.raises(ClusterError):
            discover(cluster)


def test_a_knative_without_v1_is_refused(api: Any, cluster: Cluster) -> None:
    api.table["GET /apis/serving.knative.dev"] = (200, {"versions": [{"version": "v1alpha1"}]})
    with pytest.raises(ClusterError, match="too old"):
        discover(cluster)


def test_capabilities_are_what_the_server_says(api: Any, cluster: Cluster) -> None:
    api.table |= {
        "GET /version": (200, {"gitVersion": "v1.31.0-eks-1"}),
        "GET /apis/autoscaling": (200, {"versions": [{"version": "v1"}, {"version": "v2"}]}),
        "GET /apis/metrics.k8s.io": (200, {}),
        "GET /apis/serving.knative.dev": (200, {"versions": [{"version": "v1"}]}),
        "GET /api/v1/namespaces/knative-serving": (200, {"metadata": {"labels": {"app.kubernetes.io/version": "1.15.2"}}}),
    }
    found = discover(cluster)
    assert (found.eks, found.autoscaling_v2, found.metrics_server, found.knative_version) == (True, True, True, "1.15.2")
    assert found.kubernetes_version == "1.31.0-eks-1"


def test_several_questions_are_answered_in_order_and_the_first_error_is_raised() -> None:
    assert each(lambda number: number * 2, range(20)) == list(range(0, 40, 2))
    with pytest.raises(ZeroDivisionError):
        each(lambda number: 1 // number, [1, 0, 2])
