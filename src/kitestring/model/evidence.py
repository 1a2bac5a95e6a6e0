"""What an observation may be asked for beside the definitions, because it costs something."""

from __future__ import annotations

import enum


class Evidence(enum.StrEnum):
    """What a check looks at, where that is more than definitions, segments and the catalog."""

    RECALL = "recall"  # every vector, against the answers of the index
    TENANCY = "tenancy"  # every row's tenant, and rows asked for as other tenants
    CONFIG = "config"  # settings of the database
    SETTINGS = "settings"  # settings that the server's processes tell
    RETRIEVAL = "retrieval"  # the golden queries, and every text where hybrid search is asked for
    METRICS = "metrics"  # memory and segments of each query node
    ACCESS = "access"  # users, roles and what they may do
    ROWS = "rows"  # short columns of every row, set against the ledger
    CORPUS = "corpus"  # the documents that rows are made of, against the ledger
    GROUPS = "groups"  # the server's resource groups and their query nodes
    TASKS = "tasks"  # the crontab, and the newest runs of what it names
    CANARY = "canary"  # stored texts embedded again, vectors


ALL: frozenset[Evidence] = frozenset(Evidence)
