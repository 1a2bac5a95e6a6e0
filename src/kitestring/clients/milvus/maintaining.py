"""What a server does with its segments: flush, compaction, bulk import; and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kitestring.clients.milvus.describing import Describing
from kitestring.clients.milvus.failures import translated
from kitestring.clients.milvus.protocol import Flushed, ImportState
from kitestring.clients.milvus.settings import REQUEST, settings_of
from kitestring.clients.milvus.waiting import wait_until
from kitestring.errors import MilvusError

_IMPORT_DONE, _IMPORT_FAILED = 6, 1  # common ImportState: ImportCompleted, ImportFailed
_COMPACTION_DONE = "Completed"
_PRECISE = 100  # ms


class Maintaining(Describing):
    """The part of `Milvus` that works on segments."""

    def flush(self, name: str) -> None:
        with translated(self.uri):
            self._client.flush(name)

    def flush_through(self, names: Sequence[str]) -> Flushed:
        answer = self._call(
            "Flush",
            milvus_pb2.FlushRequest(db_name=self.database, collection_names=list(names)),
            timeout=self._timeout * 6,
        )
        physical, segments = [], {}
        for name in names:
            flushed = int(answer.coll_flush_ts.get(name, 0))
            if not flushed:
                raise MilvusError(
                    f"the server does not say up to when it has flushed `{name}`",
                    hint="servers from 2.3 on do",
                    subject=name,
                )
            request = milvus_pb2.GetFlushStateRequest(
                db_name=self.database,
                collection_name=name,
                segmentIDs=list(answer.coll_segIDs[name].data),
                flush_ts=flushed,
            )
            wait_until(
                partial(self._flushed, request),
                timeout=max(self._timeout * 30, 300.0),
                what=f"the flush of `{name}`",
            )
            physical.append(flushed >> 18)
            ids = {*answer.coll_segIDs[name].data, *answer.flush_coll_segIDs[name].data}
            segments[name] = tuple(sorted(int(i) for i in ids))
        return Flushed(min(physical), segments)

    def flushed_until(self, name: str, now: int, *, search: bool = True) -> int | None:
        # from 2.3 on this asks how far each channel's checkpoint has come, and does nothing
        def flushed(until: int) -> bool:
            request = milvus_pb2.GetFlushStateRequest(
                db_name=self.database, collection_name=name, flush_ts=until << 18
            )
            return self._flushed(request)

        if flushed(now):
            return now
        if not search:
            return None
        low, high = max(0, self.describe(name).created_at - 1), now
        if not flushed(low):
            return None
        while high - low > _PRECISE:
            middle = (low + high) // 2
            low, high = (middle, high) if flushed(middle) else (low, middle)
        return low

    def settings(self) -> dict[str, dict[str, str]]:
        answer = self._call("GetMetrics", milvus_pb2.GetMetricsRequest(request=REQUEST))
        try:
            return settings_of(answer.response)
        except ValueError as error:
            raise MilvusError(
                f"the server's answer about its settings is not understood: {error}",
                hint="this version of Milvus may tell them in another form",
                subject=self.uri,
            ) from None

    def compact(self, name: str) -> int:
        with translated(self.uri):
            raw = self._client.describe_collection(name, timeout=self._timeout)
        # pymilvus sends the name alone, which 2.3 does not read: it compacts every collection
        request = milvus_pb2.ManualCompactionRequest(
            db_name=self.database,
            collection_name=raw["collection_name"],
            collectionID=raw["collection_id"],
        )
        return int(self._call("ManualCompaction", request).compactionID)

    def compaction_done(self, compaction: int) -> bool:
        with translated(self.uri):
            state = self._client.get_compaction_state(compaction, timeout=self._timeout)
        return str(state) == _COMPACTION_DONE

    def start_import(
        self, name: str, partition: str, paths: Sequence[str], *, until: int | None = None
    ) -> int:
        options = {"backup": "true"}
        if until is not None:
            # 2.3 takes milliseconds and composes the timestamp itself (seen on 2.3.5)
            old = self.version().removeprefix("v").startswith(("2.2.", "2.3."))
            options["end_ts"] = str(until if old else until << 18)
        answer = self._call(
            "Import",
            milvus_pb2.ImportRequest(
                db_name=self.database,
                collection_name=name,
                partition_name=partition,
                files=list(paths),
                options=[common_pb2.KeyValuePair(key=k, value=v) for k, v in options.items()],
            ),
        )
        if len(answer.tasks) != 1:
            raise MilvusError(f"the import of `{name}` was answered with no task", subject=name)
        return int(answer.tasks[0])

    def import_state(self, task: int) -> ImportState:
        answer = self._call("GetImportState", milvus_pb2.GetImportStateRequest(task=task))
        infos = {pair.key: pair.value for pair in answer.infos}
        return ImportState(
            done=answer.state == _IMPORT_DONE,
            failed=answer.state == _IMPORT_FAILED,
            rows=int(answer.row_count),
            reason=infos.get("failed_reason", ""),
        )

    def _flushed(self, request: Any) -> bool:
        return bool(self._call("GetFlushState", request).flushed)
