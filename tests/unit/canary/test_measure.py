"""What a canary sees: planted faults, and what can't be measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kitestring.canary.arrays import cosines, packed, stored_vectors, unpacked
from kitestring.canary.asked import with_canaries
from kitestring.canary.measure import measure
from kitestring.canary.sign_off import sign_off
from kitestring.clients.embedder.fake import FakeEmbedder
from kitestring.errors import DimensionMismatch, EmbedderFailed, UsageError
from kitestring.model.collection import Field
from kitestring.spec.canary import Canary
from tests.unit.canary.conftest import DIMENSION, OTHER, model


@pytest.fixture
def signed(loaded, table):
    rows = table(1500)
    sign_off(loaded, rows, loaded.spec.collections[0], seed="sign-off")
    return rows


def seen(loaded, rows, seed="day 1", **options):
    return measure(loaded, rows, loaded.spec.collections[0], rows.info, seed=seed, **options)


def test_all_is_well(loaded, signed):
    found = seen(loaded, signed)
    assert (found.unread, found.unsigned, found.unanswered) == (None, None, None)
    assert (found.reembedded.rows, found.reembedded.below.count) == (300, 0)
    assert (found.query.changed, found.query.settings) == ((), ())
    assert (found.vectors.rows, found.vectors.counted, found.vectors.bad) == (300, 1500, 0)
    assert found.content.p_value > 0.01
    assert found.population == 1500


def test_wrong_vectors_under_the_right_label_are_found_and_named(loaded, signed):
    bad = list(range(0, 1500, 20))
    signed.embed(bad, model(**OTHER))
    found = seen(loaded, signed)
    assert found.reembedded.rows == 300
    assert found.reembedded.below.count >= 6
    assert set(found.reembedded.below.examples) <= {f"k{i:06}" for i in bad}
    assert found.query.changed == ()


def test_a_few_below_have_a_second_sample_drawn(loaded, signed):
    first = _keys(loaded, signed)[:300]
    signed.embed([int(first[5][1:])], model(**OTHER))
    found = seen(loaded, signed).reembedded
    assert (found.rows, found.first_rows, found.first_below) == (600, 300, 1)
    assert found.below.examples == (first[5],)


def _keys(loaded, rows):
    from kitestring.canary.sample import choose

    spec = loaded.spec.collections[0]
    return choose(rows, rows.info, spec.fields, "words@1", 600, "day 1").keys


def test_another_model_behind_the_label(loaded, signed):
    found = seen(loaded, signed, embedder=model(**OTHER))
    assert found.reembedded.below.count == 300
    assert len(found.query.changed) == found.query.probes


class Altered(FakeEmbedder):
    """The right model for documents; questions are changed first."""

    def __init__(self, change):
        super().__init__("words@1", DIMENSION)
        self.change = change

    def embed(self, texts):
        return model().embed(texts)

    def embed_query(self, text):
        return model().embed_query(self.change(text))


@pytest.mark.parametrize(
    ("change", "groups"),
    [
        (lambda text: "query kept: " + text, {"short", "question", "form", "long"}),
        (lambda text: text[:1200], {"long"}),
    ],
)
def test_a_changed_query_encoder(loaded, signed, change, groups):
    found = seen(loaded, signed, embedder=Altered(change))
    assert found.reembedded.below.count == 0
    assert {name.split("/")[0] for name in found.query.changed} <= groups
    assert found.query.changed


def test_settings_that_are_others_than_signed_off(loaded, signed):
    changed = loaded.spec.models[0].model_copy(
        update={"options": loaded.spec.models[0].options.model_copy(update={"stop_words": None})}
    )
    other = replace(loaded, spec=loaded.spec.model_copy(update={"models": [changed]}))
    found = seen(other, signed)
    assert found.query.settings == ("options.stop_words: english, now None",)
    assert found.query.changed


def test_changed_content_is_seen_and_the_canary_passes(loaded, signed):
    texts = [f"zu{i % 7} xo{i % 5} wy{i % 3} n{i}" for i in range(1500)]
    signed.rows["text"] = texts
    signed.embed(range(1500), model())
    found = seen(loaded, signed)
    assert found.reembedded.below.count == 0
    assert found.content.p_value == 0.001


def test_the_content_of_a_large_sample_is_compared_by_a_part_of_it(loaded, signed):
    large = loaded.spec.collections[0].model_copy(update={"canary": Canary(rows=1400)})
    found = measure(loaded, signed, large, signed.info, seed="day 1")
    assert (found.reembedded.rows, found.content.rows) == (1400, 1000)


def test_vectors_without_a_direction(loaded, signed):
    keys = _keys(loaded, signed)
    for key, vector in (
        (keys[0], [0.0] * DIMENSION),
        (keys[1], [float("nan")] * DIMENSION),
        (keys[2], [2.0] * DIMENSION),
    ):
        signed.rows["embedding"][int(key[1:])] = vector
    found = seen(loaded, signed)
    assert (found.vectors.zero.examples, found.vectors.not_finite.examples) == (
        (keys[0],),
        (keys[1],),
    )
    assert found.vectors.other_length.examples == (keys[2],)
    assert found.reembedded.below.count == 3


@pytest.mark.parametrize(
    "error", [EmbedderFailed("HTTP 500", hint="later"), DimensionMismatch("of 5 dimensions")]
)
def test_a_model_that_does_not_answer(loaded, signed, error):
    class Broken(FakeEmbedder):
        def embed(self, texts):
            raise error

    found = seen(loaded, signed, embedder=Broken())
    assert found.unanswered.reason == error.message
    assert (found.reembedded, found.query) == (None, None)
    assert found.vectors is not None


def test_rows_without_a_text(loaded, signed):
    key = _keys(loaded, signed)[4]
    signed.rows["text"][int(key[1:])] = ""
    found = seen(loaded, signed).reembedded
    assert (found.rows, found.textless.examples) == (299, (key,))


def test_nothing_signed_off_not_loaded_and_empty(loaded, signed, table):
    found = seen(loaded, table(100))
    assert found.reembedded is not None  # a smaller collection of the same name
    other = loaded.spec.collections[0].model_copy(update={"name": "other"})
    found = measure(loaded, signed, other, signed.info)
    assert "not been signed off" in found.unsigned.reason
    assert found.reembedded is None
    assert found.vectors.rows == 300
    signed.loaded = False
    assert "not loaded" in seen(loaded, signed).unread.reason
    assert "no rows" in seen(loaded, table(0)).unread.reason


def test_a_canary_is_taken_of_what_is_signed_off_or_asked_for(loaded, signed):
    bare = loaded.spec.collections[0].model_copy(update={"canary": None})
    other = bare.model_copy(update={"name": "other"})
    spec = loaded.spec.model_copy(update={"collections": [bare, other]})
    found = with_canaries(replace(loaded, spec=spec), 500).spec.collections
    assert found[0].canary.rows == 500
    assert found[1].canary is None
    with pytest.raises(UsageError, match="asks for none"):
        with_canaries(replace(loaded, spec=spec.model_copy(update={"collections": [other]})), 500)
    with pytest.raises(UsageError, match="20 to 100000"):
        with_canaries(loaded, 3)


def test_vectors_of_16_bits_and_nulls():
    values = np.array([[1.0, -0.5], [0.25, 2.0]], np.float32)
    half = pa.array([v.tobytes() for v in values.astype("<f2")], pa.binary(4))
    cut = (values.view(np.uint32) >> 16).astype("<u2")
    brain = pa.array([v.tobytes() for v in cut], pa.binary(4))
    assert np.array_equal(stored_vectors(half, Field("v", "FLOAT16_VECTOR", dim=2)), values)
    assert np.array_equal(stored_vectors(brain, Field("v", "BFLOAT16_VECTOR", dim=2)), values)
    listed = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    found = stored_vectors(listed, Field("v", "FLOAT_VECTOR", dim=2))
    assert np.isnan(found[1]).all()
    assert cosines(found, found).tolist() == [pytest.approx(1), -1]
    for kind in ("FLOAT16_VECTOR", "BFLOAT16_VECTOR"):
        nothing = stored_vectors(pa.array([None], pa.binary(4)), Field("v", kind, dim=2))
        assert np.isnan(nothing).all()


def test_arrays_as_text():
    values = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    assert np.array_equal(unpacked(packed(values), 5), values)
    with pytest.raises(ValueError, match="no vectors of 7"):
        unpacked(packed(values), 7)
