"""MongoDB and Redis: names, ports and storage of the jac-scale document; right for the official images under `restricted`."""

from __future__ import annotations

from dataclasses import replace

from jacfn_knative.app import DataServices
from jacfn_knative.manifests import data
from knative.apps import SHOP, made


def test_mongodb_is_a_stateful_set_with_five_gibibytes() -> None:
    item = made()["StatefulSet/shop-mongodb"]
    (claim,) = item["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "storageClassName" not in claim["spec"]
    assert claim["metadata"]["labels"]["jacfn.dev/app"] == "shop"  # the claim is left behind and must be found
    assert made()["Service/shop-mongodb-service"]["spec"]["ports"][0]["port"] == 27017


def test_the_claim_does_not_change_with_the_mode() -> None:
    from knative.apps import BARE

    name = "StatefulSet/shop-mongodb"
    assert made()[name]["spec"]["volumeClaimTemplates"] == made(SHOP, BARE)[name]["spec"]["volumeClaimTemplates"]  # immutable


def test_storage_is_a_setting() -> None:
    app = replace(SHOP, data=DataServices(storage="20Gi", storage_class="fast"))
    (claim,) = made(app)["StatefulSet/shop-mongodb"]["spec"]["volumeClaimTemplates"]
    assert (claim["spec"]["resources"]["requests"]["storage"], claim["spec"]["storageClassName"]) == ("20Gi", "fast")


def test_mongod_is_a_replica_set_with_a_key_file_behind_the_images_entry_point() -> None:
    (container,) = made()["StatefulSet/shop-mongodb"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "mongo:8"
    assert "command" not in container  # the entry point makes the root user and prepends mongod to arguments that start with -
    assert container["args"][:2] == ["--replSet", "rs0"]
    assert container["args"][container["args"].index("--keyFile") + 1] == "/etc/mongodb/keyfile"
    assert {item["name"] for item in container["env"]} == {"MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD"}


def test_mongod_gets_a_key_file_that_only_it_may_read() -> None:
    spec = made()["StatefulSet/shop-mongodb"]["spec"]["template"]["spec"]
    (copy,) = spec["initContainers"]
    assert copy["command"] == ["install", "-m", "400", "/etc/secret/keyfile", "/etc/mongodb/keyfile"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["secret"]["secret"]["defaultMode"] == 0o440 and spec["securityContext"]["fsGroup"] == 999
    assert volumes["keyfile"]["emptyDir"] == {"medium": "Memory"}  # never on a node's disk
    assert "secret" not in {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}


def test_the_members_name_resolves_before_it_is_ready() -> None:
    spec = made()["Service/shop-mongodb-service"]["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert made()["StatefulSet/shop-mongodb"]["spec"]["serviceName"] == "shop-mongodb-service"


def test_redis_has_a_password_a_memory_limit_and_never_a_twin() -> None:
    item = made()["Deployment/shop-redis"]
    (container,) = item["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "redis:7"
    assert container["command"][:2] == ["redis-server", "/etc/redis/redis.conf"]
    assert "allkeys-lru" in container["command"]
    assert item["spec"]["strategy"] == {"type": "Recreate"}
    assert made()["Service/shop-redis-service"]["spec"]["ports"][0]["port"] == 6379


def test_addresses_are_those_of_the_document() -> None:
    assert data.mongodb_uri("shop", "pw").startswith("mongodb://jacfn:pw@shop-mongodb-service:27017/jac_db")
    assert data.redis_url("shop", "pw") == "redis://:pw@shop-redis-service:6379/0"


def test_only_pods_of_the_app_may_talk_to_its_data() -> None:
    for name, port in (("mongodb", 27017), ("redis", 6379)):
        spec = made()[f"NetworkPolicy/shop-{name}"]["spec"]
        assert spec["podSelector"]["matchLabels"] == {"jacfn.dev/app": "shop", "app.kubernetes.io/component": name}
        assert spec["ingress"] == [
            {
                "from": [{"podSelector": {"matchLabels": {"jacfn.dev/app": "shop"}}}],
                "ports": [{"protocol": "TCP", "port": port}],
            }
        ]
