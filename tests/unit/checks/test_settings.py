"""Settings that the server tells, against those of the spec."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kitestring.checks.registry import BY_ID
from kitestring.clients.milvus.memory import MemoryCluster
from kitestring.clients.milvus.settings import settings_of
from kitestring.errors import MilvusError
from kitestring.model.settings import SettingsSeen
from kitestring.observe.settings import probe_settings

SIZE, BUFFER = "dataCoord.segment.maxSize", "dataNode.segment.insertBufSize"
CONFIG = (
    "objectives:",
    'deployment: {version: "2.5.16", mode: standalone, minio: {}, config: '
    "{datacoord.segment.maxsize: 512, quotaAndLimits.enabled: true}}\nobjectives:",
)
S3 = ("storage: {type: local, path: milvus}", "storage: {type: s3, bucket: milvus}")


def told(loaded, clean, seen):
    return [
        (f.severity.value, f.inconclusive, f.subject.split("/")[-1], f.expected, f.observed)
        for f in BY_ID["config.server"].run(loaded, replace(clean, settings=seen))
    ]


@pytest.fixture
def loaded(spec_from):
    return spec_from(CONFIG, S3)


UNTOLD = ("info", False, "settings", "settings that the server tells", "1 of 2")


@pytest.mark.parametrize("value", ["512", "512.0"])
def test_the_same_settings_say_nothing_but_what_is_not_told(loaded, clean, value):
    assert told(loaded, clean, SettingsSeen({SIZE: {"datacoord1": value}})) == [UNTOLD]


def test_one_process_with_another_value_is_named(loaded, clean):
    seen = SettingsSeen({SIZE: {"datacoord1": "512", "datacoord2": "1024"}, BUFFER: {"x": "1"}})
    changed = ("fail", False, "datacoord.segment.maxsize", "512", "1024")
    assert told(loaded, clean, seen) == [changed, UNTOLD]
    found = BY_ID["config.server"].run(loaded, replace(clean, settings=seen))
    assert "on datacoord2" in next(iter(found)).message


def test_what_could_not_be_read_is_no_pass_and_what_nobody_asks_is_left_out(
    loaded, clean, spec_from
):
    assert [one[1] for one in told(loaded, clean, SettingsSeen(reason="refused"))] == [True]
    assert [one[1] for one in told(loaded, clean, None)] == [True]
    assert "deployment.config" in BY_ID["config.server"].unasked(spec_from())


def test_the_probe_asks_where_the_spec_has_settings(loaded, clean, spec_from, monkeypatch):
    milvus = MemoryCluster().connect()
    assert probe_settings(spec_from(), milvus, clean).settings is None
    monkeypatch.setattr(milvus, "settings", lambda: {SIZE: {"datacoord1": "512"}})
    assert probe_settings(loaded, milvus, clean).settings.values == {SIZE: {"datacoord1": "512"}}

    def refuses():
        raise MilvusError("no privilege")

    monkeypatch.setattr(milvus, "settings", refuses)
    assert probe_settings(loaded, milvus, clean).settings.reason == "no privilege"


def test_an_answer_of_a_server():
    """As 2.3.5 gives it, cut down."""
    nodes = [
        {"infos": {"name": "datacoord1", "system_configurations": {"segment_max_size": 512}}},
        {"infos": {"name": "proxy1", "system_configurations": {"default_index_name": "_i"}}},
        {"infos": {"name": "querycoord1", "system_configurations": {"search_channel_prefix": ""}}},
        {"infos": {"name": "new1"}},
        "?",
    ]
    assert settings_of(json.dumps({"nodes_info": nodes})) == {
        SIZE: {"datacoord1": "512"},
        "common.defaultIndexName": {"proxy1": "_i"},
    }
    for other in ("", "[]", "{}", '{"nodes_info": 3}'):
        with pytest.raises(ValueError, match=r"nodes_info|Expecting value"):
            settings_of(other)
