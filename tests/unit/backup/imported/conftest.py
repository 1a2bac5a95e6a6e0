"""A backup that milvus-backup really made, and the same as newer versions of it lay it out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kitestring.segments.write import delta_log

DATA = Path(__file__).parents[5] / "shared" / "data" / "segments" / "v1"
COLLECTION, PARTITION, SEGMENT = 442958042415717600, 442958042415717601, 442958042415717609
LATE = 1689766066_500  # ms: within the second of the second collection's flush
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A copy of the sample's folder."""
    if not DATA.is_dir():
        pytest.skip(f"the sample files are not there: {DATA}")
    return Path(shutil.copytree(DATA / "backup_demo", tmp_path / "backup_demo"))


@pytest.fixture
def change(backup: Path) -> Callable[[str, Change], None]:
    """Changes one of the metadata files."""

    def edit(name: str, how: Change) -> None:
        file = backup / "meta" / name
        document = json.loads(file.read_text())
        how(document)
        file.write_text(json.dumps(document))

    return edit


@pytest.fixture
def newer(backup: Path) -> Path:
    """As versions since 0.5 write it: groups, log ids, aliases, properties, access, no times, and
    an L0 segment for all partitions that deletes a key of each segment of `hello_milvus2`."""
    for kind in ("insert_log", "delta_log"):
        for segment in list((backup / "binlogs" / kind).glob("*/*/*")):
            group = segment.parent / f"{segment.name}.new"
            group.mkdir()
            segment.rename(group / segment.name)
            group.rename(segment)
    l0 = backup / f"binlogs/delta_log/{COLLECTION}/-1/7/8"
    l0.parent.mkdir(parents=True)
    at = 1689760000_000 << 18
    l0.write_bytes(delta_log([(1, at), (3001, at)], (COLLECTION, -1, 7)))

    document = json.loads((backup / "meta" / "full_meta.json").read_text())
    for gone in ("state_code", "start_time", "end_time", "backup_timestamp"):
        document.pop(gone)
    for collection in document["collection_backups"]:
        collection["created_timestamp"] = 442958000000000000
        collection["load_state"] = "Loaded"
        for partition in collection["partition_backups"]:
            for segment in partition["segment_backups"]:
                segment["group_id"] = segment["segment_id"]
                for field in segment["binlogs"] + segment["deltalogs"]:
                    for log in field.get("binlogs", []):
                        log["log_id"] = int(log.pop("log_path").rpartition("/")[2])
    second = document["collection_backups"][1]
    second["aliases"] = ["current"]
    second["properties"] = [{"key": "collection.ttl.seconds", "value": "0"}]
    second["l0_segments"] = [
        {
            "segment_id": 7,
            "collection_id": COLLECTION,
            "partition_id": -1,
            "is_l0": True,
            "deltalogs": [{"binlogs": [{"log_id": 8, "log_size": l0.stat().st_size}]}],
        }
    ]
    document["rbac_meta"] = {
        "users": [{"user": "ann", "password": "x", "roles": [{"name": "reader"}]}],
        "roles": [{"name": "reader"}],
        "grants": [
            {
                "role": {"name": "reader"},
                "object": {"name": "Collection"},
                "object_name": "hello_milvus2",
                "grantor": {"user": {"name": "root"}, "privilege": {"name": "Search"}},
                "db_name": database,
            }
            for database in ("default", "other")
        ],
    }
    for file in (backup / "meta").iterdir():
        file.unlink()
    (backup / "meta" / "full_meta.json").write_text(json.dumps(document))
    return backup
