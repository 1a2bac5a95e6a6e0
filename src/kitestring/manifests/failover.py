"""Settings of single roles that decide what searches notice of a query node that is gone.

Measured on 2.3.5 with 3 replicas (docs/decisions/0015). A role asks one that does not answer again
and again, up to ten times, with pauses that grow to 10 s.

- The proxy asks no other replica before these tries have ended. They have to end before etcd gives
  up the dead node's session, 20 to 30 s after its last word: from then on the proxy takes the
  failure for one that no other replica can mend, and the search is lost.
- The coordinator tells replicas, one after the other, what to answer from, and once it has waited
  for the dead node the new one waits for the next round. Before 2.4.15 that new replica gives empty
  answers in the meantime (milvus-io/milvus#36242).
"""

from __future__ import annotations

from collections.abc import Mapping

from kitestring.manifests.dependencies import version_of
from kitestring.manifests.labels import deployment_of
from kitestring.model.versions import Feature, Role, has
from kitestring.spec.crosscheck_config import normal
from kitestring.spec.models import Spec

# The longest pause. Ten tries then take 12 s, and no longer 50: less than the session's life, and
# more than a coordinator needs to come back, for which a proxy waits by the same tries.
MAX_BACKOFF = 1  # seconds
# Until a peer that says nothing any more counts as gone; the default of 20 s, and the tries after
# it, would outlast the session.
KEEPALIVE_TIMEOUT = 3000  # milliseconds
TARGET_INTERVAL = 1  # seconds between two rounds of the coordinator; the default is 10


def failover_settings(spec: Spec, role: Role) -> Mapping[str, str]:
    """Settings of a role, by their dotted names; `deployment.config` wins over each of them."""
    old = not has(version_of(spec), Feature.REBUILT_REPLICA_WAITS)
    made: dict[str, int] = {}
    if role == "proxy" or (role == "coordinator" and old):
        made["grpc.client.maxBackoff"] = MAX_BACKOFF
        made["grpc.client.keepAliveTimeout"] = KEEPALIVE_TIMEOUT
    if role == "coordinator" and old:
        made["queryCoord.updateNextTargetInterval"] = TARGET_INTERVAL
    given = {normal(key) for key in deployment_of(spec).config}
    return {key: str(value) for key, value in made.items() if normal(key) not in given}
