"""Makes volumes for claims of the node's StorageClass, enlarges them and removes them.

A volume is a directory, offered as a `local` volume: that kind follows a pod's `fsGroup`, which
`hostPath` does not. A directory has no size of its own, so that "enlarged" is what the objects
say. Runs as a process of the node: `python -m tests.e2e.node.provisioner KUBECONFIG FOLDER`.
"""

from __future__ import annotations

import http.client
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.e2e.node.api import Api, ApiError
from tests.e2e.node.layout import NODE_NAME, PROVISIONER, STORAGE_CLASS

_POLL = 0.5  # seconds
_NAMES = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"
_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED = "volume.kubernetes.io/selected-node"


def storage_class() -> dict[str, Any]:
    """The default class; binds when the first pod asks, like kind's and most clouds'."""
    return {
        **_NAMES,
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def volume_for(claim: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The PersistentVolume of a claim; its directory is `folder`."""
    meta, spec = claim["metadata"], claim["spec"]
    selector = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": folder.name, "annotations": {_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
            "volumeMode": "Filesystem",
            "local": {"path": str(folder)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [selector]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
        },
    }


def wants_volume(claim: dict[str, Any], ours: set[str]) -> bool:
    """A pending claim of a class of ours whose pod has been given to a node."""
    meta, spec = claim["metadata"], claim["spec"]
    return (
        claim["status"].get("phase") == "Pending"
        and not spec.get("volumeName")
        and spec.get("storageClassName") in ours
        and _SELECTED in meta.get("annotations", {})
        and "deletionTimestamp" not in meta
    )


def growth(claim: dict[str, Any]) -> str | None:
    """The size that a bound claim asks for, when its status does not say that it has it."""
    wanted: str = claim["spec"]["resources"]["requests"]["storage"]
    has = claim["status"].get("capacity", {}).get("storage")
    return wanted if claim["status"].get("phase") == "Bound" and has != wanted else None


def step(api: Api, folder: Path) -> None:
    """One round over all claims and volumes."""
    classes = api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
    ours = {c["metadata"]["name"] for c in classes if c["provisioner"] == PROVISIONER}
    for claim in api.get(_CLAIMS)["items"]:
        if wants_volume(claim, ours):
            target = folder / f"pvc-{claim['metadata']['uid']}"
            target.mkdir(parents=True, exist_ok=True)
            api.create(_VOLUMES, volume_for(claim, target))
        elif claim["spec"].get("storageClassName") in ours and (size := growth(claim)):
            _grow(api, claim, size)
    for volume in api.get(_VOLUMES)["items"]:
        released = volume["status"].get("phase") == "Released"
        delete = volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        if (
            released
            and delete
            and volume["metadata"].get("annotations", {}).get(_BY) == PROVISIONER
        ):
            shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
            api.delete(f"{_VOLUMES}/{volume['metadata']['name']}")


def _grow(api: Api, claim: dict[str, Any], size: str) -> None:
    meta = claim["metadata"]
    capacity = {"capacity": {"storage": size}}
    api.patch(f"{_VOLUMES}/{claim['spec']['volumeName']}", {"spec": capacity})
    path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}/status"
    api.patch(path, {"status": {**capacity, "conditions": None}})


def main(kubeconfig: str, folder: str) -> None:
    """Until the node's end; an API server that is away for a while is waited for."""
    api = Api(Path(kubeconfig))
    while True:
        try:
            step(api, Path(folder))
        except (ApiError, OSError, http.client.HTTPException, KeyError):
            traceback.print_exc()
        time.sleep(_POLL)


if __name__ == "__main__":
    main(*sys.argv[1:])
