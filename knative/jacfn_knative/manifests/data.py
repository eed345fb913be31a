"""MongoDB and Redis of an app, provisioned: names and ports of the jac-scale document, passwords from Secrets, restricted pods.

Right for the official images `mongo:8` and `redis:7`: both run as user 999 from the start, so their entry points need no root.
"""

from __future__ import annotations

from jacfn_knative.manifests import pods
from jacfn_knative.manifests.context import PROJECT, Context
from jacfn_knative.manifests.kinds import Object

USER = 999  # the user `mongodb` and the user `redis` of the official images
MONGODB_PORT = 27017
REDIS_PORT = 6379
DATABASE = "jac_db"
REPLICA_SET = "rs0"
MONGODB_USER = "jacfn"
CACHE_GB = "0.25"  # WiredTiger's cache, its smallest; without the flag it takes half of the node's memory
CPU_LIMIT = "1"  # of each data service, where the app's own processes have one
REDIS_MEMORY = "192mb"  # below the container's limit, so that Redis evicts before the kernel kills it


def mongodb_uri(app_name: str, password: str) -> str:
    """The address of the provisioned MongoDB. Direct: the set has one member, and a start saves the round of discovery."""
    host = f"{app_name}-mongodb-service:{MONGODB_PORT}"
    return f"mongodb://{MONGODB_USER}:{password}@{host}/{DATABASE}?authSource=admin&directConnection=true"


def redis_url(app_name: str, password: str) -> str:
    """The address of the provisioned Redis."""
    return f"redis://:{password}@{app_name}-redis-service:{REDIS_PORT}/0"


def objects(context: Context) -> list[Object]:
    """What is provisioned: each a Service and a StatefulSet or Deployment."""
    found: list[Object] = []
    if context.app.data.provisions_mongodb:
        found += [_mongodb_service(context), _mongodb(context)]
    if context.app.data.provisions_redis:
        found += [_redis_service(context), _redis(context)]
    return found


def _mongodb_service(context: Context) -> Object:
    """Headless, and it names the pod before it is ready: the replica set's one member has to find itself under this name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata(f"{context.app.name}-mongodb-service", "mongodb"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": context.selector("mongodb"),
            "ports": [{"name": "mongodb", "port": MONGODB_PORT, "targetPort": MONGODB_PORT, "protocol": "TCP"}],
        },
    }


def _mongodb(context: Context) -> Object:
    secret = context.secret("mongodb")
    # Arguments only: the image's entry point makes the root user at the first start, then runs mongod with them.
    arguments = ["--replSet", REPLICA_SET, "--keyFile", "/etc/mongodb/keyfile", "--bind_ip_all", "--port", str(MONGODB_PORT)]
    arguments += ["--dbpath", "/data/db", "--wiredTigerCacheSizeGB", CACHE_GB]
    container = {
        "name": "mongodb",
        "image": context.app.data.mongodb_image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "env": [
            pods.from_secret("MONGO_INITDB_ROOT_USERNAME", secret, "username"),
            pods.from_secret("MONGO_INITDB_ROOT_PASSWORD", secret, "password"),
        ],
        "ports": [{"name": "mongodb", "containerPort": MONGODB_PORT, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": MONGODB_PORT}, "periodSeconds": 2},
        "livenessProbe": {"tcpSocket": {"port": MONGODB_PORT}, "periodSeconds": 20, "failureThreshold": 6},
        "startupProbe": {"tcpSocket": {"port": MONGODB_PORT}, "periodSeconds": 1, "failureThreshold": 300},  # recovery takes time
        "resources": _resources(context, "100m", "256Mi", "1Gi"),
        "securityContext": pods.security_context(),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data/db"},
            {"name": "config", "mountPath": "/data/configdb"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  a path in the container
            {"name": "keyfile", "mountPath": "/etc/mongodb", "readOnly": True},
        ],
    }
    volumes: list[Object] = [
        {"name": "config", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "keyfile", "emptyDir": {"medium": "Memory"}},
        {
            "name": "secret",
            "secret": {"secretName": secret, "items": [{"key": "keyfile", "path": "keyfile"}], "defaultMode": 0o440},
        },
    ]
    claim_spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": context.app.data.storage}},
    }
    if context.app.data.storage_class:
        claim_spec["storageClassName"] = context.app.data.storage_class
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": context.metadata(f"{context.app.name}-mongodb", "mongodb"),
        "spec": {
            "replicas": 1,
            "serviceName": f"{context.app.name}-mongodb-service",
            "selector": {"matchLabels": context.selector("mongodb")},
            "template": {
                "metadata": {"labels": context.labels("mongodb")},
                "spec": _pod(context, container, volumes)
                | {"initContainers": [_keyfile(context)], "terminationGracePeriodSeconds": 60},  # a last checkpoint takes time
            },
            "volumeClaimTemplates": [
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": _claim_metadata(context),
                    "spec": claim_spec,
                }
            ],
        },
    }


def _keyfile(context: Context) -> Object:
    """mongod refuses a key file that its group may read, and a Secret's files are root's: so it gets a copy of its own."""
    return {
        "name": "keyfile",
        "image": context.app.data.mongodb_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["install", "-m", "400", "/etc/secret/keyfile", "/etc/mongodb/keyfile"],
        "resources": _resources(context, "10m", "16Mi", "64Mi"),
        "securityContext": pods.security_context(),
        "volumeMounts": [
            {"name": "secret", "mountPath": "/etc/secret", "readOnly": True},
            {"name": "keyfile", "mountPath": "/etc/mongodb"},
        ],
    }


def _claim_metadata(context: Context) -> Object:
    """The claim outlives the StatefulSet and has to say whose it is. Immutable: nothing that may change goes in here."""
    return {"name": "data", "labels": context.labels("mongodb"), "annotations": {PROJECT: context.app.project}}


def _redis_service(context: Context) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata(f"{context.app.name}-redis-service", "redis"),
        "spec": {
            "selector": context.selector("redis"),
            "ports": [{"name": "redis", "port": REDIS_PORT, "targetPort": REDIS_PORT, "protocol": "TCP"}],
        },
    }


def _redis(context: Context) -> Object:
    # A cache: nothing goes to disk. The password comes from a file, so that it shows in no list of processes.
    command = ["redis-server", "/etc/redis/redis.conf", "--port", str(REDIS_PORT), "--save", "", "--appendonly", "no"]
    command += ["--maxmemory", REDIS_MEMORY, "--maxmemory-policy", "allkeys-lru", "--dir", "/data"]
    container = {
        "name": "redis",
        "image": context.app.data.redis_image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "ports": [{"name": "redis", "containerPort": REDIS_PORT, "protocol": "TCP"}],
        "readinessProbe": {"tcpSocket": {"port": REDIS_PORT}, "periodSeconds": 2},
        "livenessProbe": {"tcpSocket": {"port": REDIS_PORT}, "periodSeconds": 20, "failureThreshold": 6},
        "resources": _resources(context, "50m", "64Mi", "256Mi"),
        "securityContext": pods.security_context(),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "auth", "mountPath": "/etc/redis", "readOnly": True},
        ],
    }
    auth = {"secretName": context.secret("redis"), "items": [{"key": "redis.conf", "path": "redis.conf"}], "defaultMode": 0o440}
    volumes: list[Object] = [{"name": "data", "emptyDir": {}}, {"name": "auth", "secret": auth}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": context.metadata(f"{context.app.name}-redis", "redis"),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 1,
            # Never two at once: a mark in one and a copy in the other would be a stale read.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": context.selector("redis")},
            "template": {"metadata": {"labels": context.labels("redis")}, "spec": _pod(context, container, volumes)},
        },
    }


def _resources(context: Context, cpu: str, memory: str, memory_limit: str) -> Object:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory_limit} | pods.cpu_limit(context, CPU_LIMIT)}


def _pod(context: Context, container: Object, volumes: list[Object]) -> Object:
    return {
        "serviceAccountName": context.app.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
