"""Fixed texts that show a change of a query encoder.

Each group is sensitive to something else; a group has several members, so that one that is changed
by chance is told from a change. A text is never edited: sign-offs hold its vector.
"""

from __future__ import annotations

from collections.abc import Mapping

_LONG = (
    "The kite hangs in the wind above the harbour, and its string runs down to a hand on the quay. "
)


def _long(words: int, ending: str) -> str:
    """A text of some `words` words that differs from others by its ending only."""
    return _LONG * (words // 20) + ending


PROBE_TEXTS: Mapping[str, str] = {
    # a prefix such as `query: ` weighs most in short texts
    "short/1": "kite",
    "short/2": "index",
    "short/3": "backup restore",
    "short/4": "vector database",
    "question/1": "how do I restore a collection from a backup?",
    "question/2": "Which query node holds the segments of a partition?",
    "question/3": "why is recall lower after compaction",
    "question/4": "what is the retention of drill records",
    # case, accents, scripts and punctuation: normalisation before the tokenizer
    "form/1": "CREATE INDEX ON Docs USING HNSW; Create Index on docs using hnsw",
    "form/2": "Crème brûlée, naïve façade, Ångström, İstanbul",
    "form/3": "  leading,   inner\tand trailing   spaces \n\n twice  ",
    "form/4": "向量数据库 インデックス база данных قاعدة البيانات",
    "form/5": "e-mail: user@example.com, https://example.com/a?b=c#d, 3.14159, -40 °C",
    # the endings lie beyond 256, 512, 2,048 and 8,192 tokens: truncation
    "long/1": _long(300, "The last word of it is anchor."),
    "long/2": _long(600, "The last words of it are lighthouse and tide."),
    "long/3": _long(2400, "It ends with granite, copper and glass."),
    "long/4": _long(7000, "It ends with thunder over the northern islands."),
}
"""Name -> text."""
