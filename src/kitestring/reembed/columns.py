"""Which columns of a collection are copied as they are, and which are made anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kitestring.model.arrow import arrow_schema, arrow_type
from kitestring.model.collection import Schema
from kitestring.model.digest import Hashes, row_hashes
from kitestring.spec.collection import FieldMap


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a collection, by the roles that matter to a copy; None where it has none."""

    key: str
    text: str
    vector: str
    label: str | None
    at: str | None
    content: str | None
    doc_id: str | None
    carried: tuple[str, ...]  # copied as they are: all but the vector, its label and its time

    @classmethod
    def of(cls, schema: Schema, names: FieldMap) -> Columns:
        """The spec has to name the text's field (see `kitestring.reembed.refuse`)."""

        def there(name: str | None) -> str | None:
            return name if name is not None and schema.field(name) else None

        made = {names.vector, there(names.embedding_model), there(names.last_embedded_at)}
        carried = tuple(n for n in arrow_schema(schema).names if n not in made)
        return cls(
            schema.primary.name,
            str(names.text),
            names.vector,
            there(names.embedding_model),
            there(names.last_embedded_at),
            there(names.content_hash),
            there(names.doc_id),
            carried,
        )

    @property
    def read(self) -> tuple[str, ...]:
        """What a copy reads of the source."""
        return (*self.carried, self.at) if self.at else self.carried

    def hashes(self, batch: pa.RecordBatch) -> tuple[Hashes, Hashes]:
        """Of each row's key, and of all that is carried: the same in both collections."""
        return row_hashes(batch.select(list(self.carried)), self.key)

    def marks(self, batch: pa.RecordBatch) -> list[bytes]:
        """What tells one state of a row from another."""
        return [row.tobytes() for row in self.hashes(batch)[1]]

    def made(
        self,
        batch: pa.RecordBatch,
        schema: Schema,
        vectors: np.typing.NDArray[np.float32],
        label: str,
        at: int,
    ) -> pa.RecordBatch:
        """Rows of the shadow collection, of its schema, from those of the source."""
        count = batch.num_rows
        shape = arrow_schema(schema)
        field = schema.field(self.vector)
        assert field is not None  # noqa: S101 - the shadow has the fields of the source
        kind = arrow_type(field)
        columns = []
        for name in shape.names:
            if name == self.vector:
                flat = pa.array(vectors.ravel(), pa.float32())
                columns.append(pa.FixedSizeListArray.from_arrays(flat, type=kind))
            elif name == self.label:
                columns.append(pa.array([label] * count, shape.field(name).type))
            elif name == self.at:
                columns.append(pa.array([at] * count, shape.field(name).type))
            else:
                columns.append(batch.column(name))
        return pa.RecordBatch.from_arrays(columns, schema=shape)
