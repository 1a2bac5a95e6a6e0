"""How well the demo's model answers the golden queries, and which confidence follows from it.

    python tests/bench/bench_golden.py [SPEC]

Embeds the demo's corpus with the spec's model and chunking, searches exactly (no index, no
server), and prints as JSON: the share of golden queries with a relevant document among the first
ten passages; the best score of questions that the corpus does not answer; and the confidence
that 95 % of the golden queries' best passages pass (what it keeps out is told beside it).
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kitestring.clients.embedder import make_embedder
from kitestring.demo.corpus import write_corpus
from kitestring.ingest.chunk import chunks
from kitestring.ingest.golden import load_golden
from kitestring.spec.load import load

SPEC = Path(__file__).parents[2] / "infra/clusters/local.yaml"
OFF_TOPIC = (
    "how long does bread dough have to rise",
    "which wine goes with grilled fish",
    "the best month to plant tulips",
    "symptoms of a vitamin D deficiency",
    "who won the football championship last year",
    "cheap flights to Lisbon in autumn",
    "how to remove a red wine stain from a carpet",
    "why do cats purr at night",
    "rules of offside in ice hockey",
    "height of the tallest mountain in the Andes",
    "what to pay for a used bicycle",
    "opening hours of the swimming pool",
    "how many moons has Jupiter",
    "a lullaby for small children",
    "signs that a tooth needs a filling",
    "knitting pattern of a woollen scarf",
    "when was the cathedral of Chartres built",
    "training plan of a marathon beginner",
    "how to prune an apple tree",
    "vegetarian lasagne with spinach",
)


def main() -> None:
    loaded = load(Path(sys.argv[1]) if len(sys.argv) > 1 else SPEC)
    collection = loaded.spec.collections[0]
    model = loaded.spec.model_named(collection.model)
    assert model is not None
    assert collection.chunking is not None
    assert collection.golden is not None
    golden = load_golden(loaded.resolve(collection.golden))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_corpus(Path(folder))
        corpus_seconds = time.perf_counter() - start
        rows = [
            (path.relative_to(folder).as_posix(), chunk.text)
            for path in sorted(Path(folder).glob("**/*.md"))
            for chunk in chunks(path.read_text("utf-8"), collection.chunking)
        ]
    documents = np.array([doc for doc, _ in rows])
    embedder = make_embedder(loaded, model)
    start = time.perf_counter()
    vectors = embedder.embed([text for _, text in rows])
    embed_seconds = time.perf_counter() - start
    scores = embedder.embed([q.query for q in golden]) @ vectors.T
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    hits = [
        [doc in query.relevant for doc in documents[rows]]
        for query, rows in zip(golden, nearest, strict=True)
    ]
    best = scores.max(axis=1)
    strange = (embedder.embed(OFF_TOPIC) @ vectors.T).max(axis=1)
    confidence = round(float(np.floor(np.quantile(best, 0.05) * 100) / 100), 2)
    print(
        json.dumps(
            {
                "model": model.label,
                "chunker": collection.chunking.label,
                "documents": len(set(documents)),
                "passages": len(rows),
                "corpus_seconds": round(corpus_seconds, 2),
                "embed_seconds": round(embed_seconds, 2),
                "queries": len(golden),
                "hit_rate_at_10": round(float(np.mean([any(h) for h in hits])), 3),
                "hit_rate_at_1": round(float(np.mean([h[0] for h in hits])), 3),
                "missed": [q.query for q, h in zip(golden, hits, strict=True) if not any(h)],
                "best_score_golden": _spread(best),
                "best_score_off_topic": _spread(strange),
                "confidence": confidence,
                "golden_above_confidence": round(float(np.mean(best >= confidence)), 3),
                "off_topic_above_confidence": round(float(np.mean(strange >= confidence)), 3),
            },
            indent=2,
        )
    )


def _spread(scores: np.ndarray) -> dict[str, float]:
    points = {"min": 0, "p10": 0.1, "median": 0.5, "p90": 0.9, "max": 1}
    return {name: round(float(np.quantile(scores, q)), 3) for name, q in points.items()}


if __name__ == "__main__":
    main()
