"""Everything that a deployment is made of, from the spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from kitestring.manifests import (
    config,
    etcd,
    jobs,
    kafka,
    minio,
    namespace,
    network,
    roles,
    secrets,
)
from kitestring.manifests.base import Bundle
from kitestring.manifests.labels import deployment_of
from kitestring.manifests.refuse import refuse
from kitestring.spec.crosscheck_kubernetes import LONGEST_NAME
from kitestring.spec.models import Spec


def build(spec: Spec, *, files: Mapping[str, str] | None = None) -> Bundle:
    """The manifests and secret plans of `spec.deployment`, in an order of applying them.

    Args:
        files: path as the spec writes it -> text, of what the day-2 jobs read (see `in_cluster`).

    Raises:
        SpecInvalid: there is no `deployment`, or it asks for what can't be; it names the key.
    """
    _check(spec)
    made = [
        *namespace.manifests(spec),
        *network.manifests(spec),  # before any pod: a first start is not open to everybody
        *config.manifests(spec),
        *etcd.manifests(spec),
        *minio.manifests(spec),
        *kafka.manifests(spec),
        *roles.manifests(spec),
        *jobs.manifests(spec, files),
    ]
    twice = [key for key, times in Counter(m.key for m in made).items() if times > 1]
    if twice:
        raise ValueError(f"two manifests are called {twice[0]}")
    there = {m.component for m in made}
    return Bundle(
        tuple(replace(m, after=tuple(c for c in m.after if c in there)) for m in made),
        (*secrets.secret_plans(spec), *jobs.secret_plans(spec)),
    )


def _check(spec: Spec) -> None:
    deployment_of(spec)
    name = spec.cluster.name
    if len(name) > LONGEST_NAME:
        raise refuse(
            ("cluster", "name"),
            f"objects on Kubernetes are named after it: at most {LONGEST_NAME} characters",
        )
    if not name[0].isalpha():
        raise refuse(
            ("cluster", "name"),
            "Services on Kubernetes are named after it: it has to begin with a letter",
        )
