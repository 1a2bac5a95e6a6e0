"""The database of the connection, as a pydantic model."""

from __future__ import annotations

from pydantic import Field

from kitestring.spec.types import Model


class Database(Model):
    """Settings of the database that `connection.database` names."""

    properties: dict[str, str] = Field(
        {}, description='such as `{database.max.collections: "100"}`; from Milvus 2.4'
    )
