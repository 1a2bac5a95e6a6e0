"""Declares the manifests of a file (MANIFESTS): whatever the test says, not what we build."""

import json
import os
from pathlib import Path

import pulumi
import pulumi_kubernetes

from kitestring.manifests.base import Manifest
from kitestring.provision.resources import declare

provider = pulumi_kubernetes.Provider("cluster", kubeconfig="{}")
for number, given in enumerate(json.loads(Path(os.environ["MANIFESTS"]).read_text())):
    manifest = Manifest("x", given["body"])
    opts = pulumi.ResourceOptions(provider=provider)
    declare(f"{number}-{manifest.name}", manifest, opts, keep=given["keep"])
