"""Making, keeping and refusing sign-offs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from kitestring.canary.sign_off import sign_off
from kitestring.canary.store import read_sign_off, sign_off_file
from kitestring.clients.embedder.fake import FakeEmbedder
from kitestring.errors import (
    CollectionUnfit,
    EmbedderFailed,
    SignOffError,
    SignOffExists,
    SignOffRefused,
    SignOffUnreadable,
)
from tests.unit.canary.conftest import DIMENSION, OTHER, model


def made(loaded, table, **options):
    return sign_off(loaded, table, loaded.spec.collections[0], **options).sign_off


def test_it_is_kept_with_all_that_a_check_needs(loaded, table):
    found = made(loaded, table(1200), seed="s")
    assert read_sign_off(loaded, "docs", "words@1") == found
    assert (found.cluster, found.collection, found.seed) == ("test", "docs", "s")
    assert (len(found.cosines), found.population, found.accepted) == (1000, 1200, ())
    assert found.tau == pytest.approx(1, abs=1e-6)
    assert found.repeatability == pytest.approx(1, abs=1e-6)
    assert found.fingerprint.parameters["analyzer"] == "word"
    assert found.fingerprint.dimension == DIMENSION


def test_it_is_never_replaced_silently(loaded, table):
    rows = table(100)
    first = made(loaded, rows)
    with pytest.raises(SignOffExists, match="has been signed off") as error:
        made(loaded, rows)
    assert "--renew" in error.value.hint
    assert read_sign_off(loaded, "docs", "words@1") == first
    assert made(loaded, rows, renew=True, seed="other").seed == "other"
    assert [p.name for p in sign_off_file(loaded, "docs", "words@1").parent.iterdir()] == [
        "words@1.json"
    ]


def test_vectors_of_another_model_are_refused(loaded, table):
    rows = table(200)
    rows.embed(range(200), model(**OTHER))
    with pytest.raises(SignOffRefused, match="stored vectors are not those of `words@1`"):
        made(loaded, rows)
    assert not sign_off_file(loaded, "docs", "words@1").exists()
    found = made(loaded, rows, accept=True)
    assert "200 of 200" in found.accepted[0]


def test_a_few_wrong_vectors_are_refused_and_named(loaded, table):
    rows = table(200)
    rows.embed([7, 9], model(**OTHER))
    with pytest.raises(SignOffRefused, match="2 of 200 are below") as error:
        made(loaded, rows)
    assert "k000007" in error.value.message
    assert "k000009" in error.value.message


def test_rows_of_another_label_are_refused(loaded, table):
    rows = table(200)
    rows.rows["embedding_model"][:40] = ["old@1"] * 40
    with pytest.raises(SignOffRefused, match="`old@1` 40"):
        made(loaded, rows)
    assert len(made(loaded, rows, accept=True).cosines) == 160


def test_too_few_rows_and_rows_without_a_text(loaded, table):
    with pytest.raises(SignOffError, match="has 19 rows"):
        made(loaded, table(19))
    rows = table(60)
    rows.rows["text"][:10] = [""] * 10
    assert len(made(loaded, rows).cosines) == 50


class Shaky(FakeEmbedder):
    """A model that does not repeat itself: a cosine of about 0.9."""

    def __init__(self):
        super().__init__("words@1", DIMENSION)
        self.rng = np.random.default_rng(2)

    def embed(self, texts):
        exact = model().embed(texts)
        noise = self.rng.normal(size=exact.shape, scale=0.45 / np.sqrt(DIMENSION))
        return (exact + noise).astype(np.float32)


def test_a_model_that_does_not_repeat_itself_is_measured(loaded, table):
    found = made(loaded, table(300), embedder=Shaky())
    assert 0.5 < found.repeatability < 0.95
    assert found.tau < 0.95
    assert found.accepted == ()


def test_a_model_that_fails_leaves_nothing(loaded, table):
    class Broken(FakeEmbedder):
        def embed(self, texts):
            raise EmbedderFailed("HTTP 500")

    with pytest.raises(EmbedderFailed):
        made(loaded, table(100), embedder=Broken())
    assert not loaded.state_dir.exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "can't be used"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 9'), "version 9"),
        (lambda text: text.replace('"cluster": "test"', '"cluster": "prod"'), "prod / docs"),
        (lambda text: json.dumps({**json.loads(text), "probes": "!"}), "base64"),
        (lambda text: json.dumps({**json.loads(text), "cosines": []}), "cosines"),
        (lambda text: "[]", "version None"),
    ],
)
def test_a_sign_off_that_cannot_be_used_says_so(loaded, table, damage, said):
    rows = table(100)
    made(loaded, rows)
    file = sign_off_file(loaded, "docs", "words@1")
    file.write_text(damage(file.read_text()))
    with pytest.raises(SignOffUnreadable, match=said) as error:
        read_sign_off(loaded, "docs", "words@1")
    assert str(file) in error.value.message
    with pytest.raises(SignOffExists):
        made(loaded, rows)
    made(loaded, rows, renew=True)
    assert read_sign_off(loaded, "docs", "words@1") is not None


def test_a_collection_that_does_not_fit(loaded, table):
    rows = table(50)
    spec = loaded.spec.collections[0]
    for changed, said in (
        ({"model": None}, "no model"),
        ({"fields": spec.fields.model_copy(update={"vector": "text"})}, "vectors of type VARCHAR"),
        ({"fields": spec.fields.model_copy(update={"text": "body"})}, "no field `body`"),
    ):
        with pytest.raises(CollectionUnfit, match=said):
            sign_off(loaded, rows, spec.model_copy(update=changed))
    wide = loaded.spec.models[0].model_copy(update={"dimension": 64})
    other = replace(loaded, spec=loaded.spec.model_copy(update={"models": [wide]}))
    with pytest.raises(CollectionUnfit, match="32 dimensions, those of `words@1` 64"):
        sign_off(other, rows, spec)
