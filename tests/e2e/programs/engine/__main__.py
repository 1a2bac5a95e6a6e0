"""A few objects whose settings a test changes (see `test_engine.py`)."""

import pulumi
from pulumi_kubernetes import Provider

from kitestring.provision.resources import KubernetesObject

config = pulumi.Config()
namespace = config.require("namespace")
upsert = config.get_bool("upsert")
provider = Provider(
    "cluster",
    cluster_identifier="engine",
    enable_patch_force=True,
    upsert_existing_objects=True if upsert is None else upsert,
)
opts = pulumi.ResourceOptions(provider=provider)
meta = {"namespace": namespace, "annotations": {"pulumi.com/skipAwait": "true"}}
awaited = config.get_bool("await") or False  # whether the workload has to be ready

KubernetesObject(
    "settings",
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", **meta},
        "data": {"camelCase": config.get("value") or "1", "snake_case": "x"},
    },
    opts,
)
KubernetesObject(
    "password",
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "password", **meta},
        "stringData": {"password": "not-in-the-state"},
    },
    opts,
    keep=config.get_bool("keep") or False,
)
app = {"app": config.get("app") or "a"}
KubernetesObject(
    "workload",
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "workload", **({"namespace": namespace} if awaited else meta)},
        "spec": {
            "replicas": config.get_int("replicas") or 0,
            "selector": {"matchLabels": app},
            "template": {
                "metadata": {"labels": app},
                "spec": {
                    "enableServiceLinks": False,
                    "containers": [
                        {
                            "name": "c",
                            "image": "kitestring.test/none:1",
                            "imagePullPolicy": config.get("pull") or "Never",
                            "resources": {"requests": {"cpu": "0.001", "memory": "1024Ki"}},
                        }
                    ],
                },
            },
        },
    },
    opts,
)
