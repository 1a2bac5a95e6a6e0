"""What takes evidence that costs more than a description: each adds its own to a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from kitestring.clients.milvus.protocol import Milvus
from kitestring.model.evidence import Evidence
from kitestring.model.snapshot import Snapshot
from kitestring.observe.access import probe_access
from kitestring.observe.canary import take_canaries
from kitestring.observe.corpus import probe_corpora
from kitestring.observe.database import probe_database
from kitestring.observe.groups import observe_groups
from kitestring.observe.nodes import probe_nodes
from kitestring.observe.recall import probe_recall
from kitestring.observe.retrieval import probe_retrieval
from kitestring.observe.settings import probe_settings
from kitestring.observe.tasks import probe_tasks
from kitestring.observe.tenancy import probe_tenancy
from kitestring.parallel import Workers
from kitestring.spec.loaded import LoadedSpec

Probe = Callable[[LoadedSpec, Milvus, Snapshot], Snapshot]

PROBES: Mapping[Evidence, Probe] = {
    Evidence.CONFIG: probe_database,
    Evidence.SETTINGS: probe_settings,
    Evidence.RETRIEVAL: probe_retrieval,
    Evidence.METRICS: probe_nodes,
    Evidence.ACCESS: probe_access,
    Evidence.RECALL: probe_recall,
    Evidence.CORPUS: probe_corpora,
    Evidence.CANARY: take_canaries,
    Evidence.GROUPS: observe_groups,
    Evidence.TENANCY: probe_tenancy,
    Evidence.TASKS: probe_tasks,
}
"""Run in this order, those that are wanted; the rows are read before, by the snapshot itself."""


def probes_on(workers: Workers) -> Mapping[Evidence, Probe]:
    """The same, with those that can be split into parts on `workers`."""
    return {**PROBES, Evidence.CANARY: partial(take_canaries, workers=workers)}
