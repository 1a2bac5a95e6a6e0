"""The few settings of milvus.yaml that a server's processes tell in their metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping

_NAMES = {
    "segment_max_size": "dataCoord.segment.maxSize",
    "flush_insert_buffer_size": "dataNode.segment.insertBufSize",
    "min_segment_size_to_enable_index": "rootCoord.minSegmentSizeToEnableIndex",
    "simd_type": "common.simdType",
    "default_partition_name": "common.defaultPartitionName",
    "default_index_name": "common.defaultIndexName",
    "minio_bucket_name": "minio.bucketName",
}
"""As `system_configurations` has them (pkg/util/metricsinfo/metrics_info.go of Milvus), and the
settings that they are of."""
REQUEST = json.dumps({"metric_type": "system_info"})


def settings_of(response: str) -> dict[str, dict[str, str]]:
    """Setting -> process -> value, of an answer of `GetMetrics` to `REQUEST`.

    Raises:
        ValueError: the answer is of another form.
    """
    found: dict[str, dict[str, str]] = {}
    answer = json.loads(response)
    nodes = answer.get("nodes_info") if isinstance(answer, dict) else None
    if not isinstance(nodes, list):
        raise ValueError("no `nodes_info`")
    for node in nodes:
        infos = node.get("infos") if isinstance(node, dict) else None
        told = infos.get("system_configurations") if isinstance(infos, dict) else None
        if not isinstance(infos, dict) or not isinstance(told, Mapping):
            continue
        for name, value in told.items():
            if name in _NAMES:
                found.setdefault(_NAMES[name], {})[str(infos.get("name"))] = str(value)
    return found
