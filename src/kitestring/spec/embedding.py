"""Embedding models: where each is, and the parameters that make it what it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kitestring.spec.types import MODEL_NAME, MODEL_VERSION, Duration, Model, SecretRef, across


class HashingOptions(Model):
    """Parameters of scikit-learn's HashingVectorizer. Another set is another model."""

    analyzer: Literal["word", "char", "char_wb"] = Field("word", description="what is counted")
    ngram_min: int = Field(1, ge=1, le=10, description="shortest n-gram")
    ngram_max: int = Field(1, ge=1, le=10, description="longest n-gram")
    stop_words: Literal["english"] | None = Field("english", description="words passed over")

    @model_validator(mode="after")
    def _range(self) -> HashingOptions:
        if self.ngram_min > self.ngram_max:
            raise across("`ngram_min` is greater than `ngram_max`")
        return self


class HttpOptions(Model):
    """An endpoint that speaks the OpenAI embeddings protocol."""

    model: str = Field(description="the model's name at the endpoint")
    base_url: SecretRef = Field(description="where the base URL is found")
    api_key: SecretRef | None = Field(None, description="omit where the endpoint needs none")
    batch_size: int = Field(128, ge=1, le=2048, description="texts in one request")
    requests_per_second: float = Field(10.0, gt=0, description="never more requests than these")
    timeout: Duration = Field(30.0, description="deadline of one request")


class LocalModelOptions(Model):
    """A model that sentence-transformers loads."""

    path: str = Field(description="directory or hub name of the model")
    batch_size: int = Field(64, ge=1, le=4096, description="texts embedded at once")


class _ModelBase(Model):
    name: str = Field(pattern=MODEL_NAME, description="the first half of the label")
    version: str = Field(
        pattern=MODEL_VERSION, description='the second half of the label; in quotes: `"1"`'
    )
    dimension: int = Field(ge=2, le=32768, description="numbers in a vector")
    normalize: bool = Field(True, description="scale vectors to length 1")

    @property
    def label(self) -> str:
        """What a row's `embedding_model` says: `name@version`."""
        return f"{self.name}@{self.version}"


class HashingModel(_ModelBase):
    """Deterministic and dependency-light: hashed word or character n-grams."""

    provider: Literal["hashing"]
    options: HashingOptions = Field(HashingOptions(), description="what is hashed")


class HttpModel(_ModelBase):
    """A model behind an endpoint that speaks the OpenAI embeddings protocol."""

    provider: Literal["openai"]
    options: HttpOptions = Field(description="where it is and how it is asked")


class SentenceTransformersModel(_ModelBase):
    """A model that sentence-transformers loads (the `sentence-transformers` extra)."""

    provider: Literal["sentence-transformers"]
    options: LocalModelOptions = Field(description="where it is")


EmbeddingModel = Annotated[
    HashingModel | HttpModel | SentenceTransformersModel, Field(discriminator="provider")
]
