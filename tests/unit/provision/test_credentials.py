"""Values of Secrets: made once, adopted ever after, never a well-known one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitestring.errors import ProvisionError, SecretMissing
from kitestring.manifests.base import CertificatePlan, SecretPlan
from kitestring.provision import credentials
from kitestring.provision.credentials import secret_manifests, values
from kitestring.spec.types import SecretRef

ROOT = SecretPlan(
    "secrets",
    "kite-root",
    "ns",
    entries={"username": "root", "password": "{password}", "token": "root:{password}"},
    random={"password": 32},
    labels={"app.kubernetes.io/instance": "kite"},
)
STORAGE = SecretPlan(
    "secrets",
    "kite-storage",
    "ns",
    entries={"access_key": "{access_key}", "secret_key": "{secret_key}"},
    refs={"access_key": SecretRef(env="ACCESS"), "secret_key": SecretRef(file="secret.txt")},
)
USERS = SecretPlan(
    "secrets",
    "kite-users",
    "ns",
    entries={"app": "{app}", "bi": "{bi}"},
    random={"app": 32, "bi": 32},
    grows=True,
)


def _unused(reference: SecretRef) -> str:
    raise AssertionError(f"{reference} was read")


def _read(reference: SecretRef) -> str:
    return {"ACCESS": "AKIA", "secret.txt": "s{3}cr}et"}[reference.env or reference.file or ""]


def test_a_password_is_made_and_the_token_is_of_the_same() -> None:
    made = values(ROOT, None, _unused)
    assert set(made) == {"username", "password", "token"}
    assert made["username"] == "root"
    assert made["token"] == f"root:{made['password']}"
    assert len(made["password"]) == 32
    assert made["password"].isascii()
    assert made["password"].isalnum()


def test_two_clusters_get_two_passwords() -> None:
    assert values(ROOT, None, _unused) != values(ROOT, {}, _unused)


def test_what_is_in_the_cluster_is_adopted_whole() -> None:
    there = {"username": "root", "password": "old", "token": "root:old"}
    assert values(ROOT, there, _unused) == there


def test_keys_of_somebody_else_are_left_alone() -> None:
    there = {"username": "root", "password": "old", "token": "root:old", "note": "mine"}
    assert "note" not in values(ROOT, there, _unused)


@given(st.sets(st.sampled_from(sorted(ROOT.entries)), min_size=1, max_size=2))
def test_a_secret_with_some_of_its_keys_is_an_error_that_names_the_others(have: set[str]) -> None:
    there = dict.fromkeys(have, "old") | dict.fromkeys(set(ROOT.entries) - have, "")
    with pytest.raises(ProvisionError) as error:
        values(ROOT, there, _unused)
    assert "ns/kite-root" in error.value.message
    for key in set(ROOT.entries) - have:
        assert f"`{key}`" in error.value.message
    assert "old" not in error.value.message


def test_a_new_user_gets_a_password_and_the_others_keep_theirs() -> None:
    made = values(USERS, {"app": "old"}, _unused)
    assert made["app"] == "old"
    assert len(made["bi"]) == 32


def test_keys_that_the_spec_names_are_read_anew_so_that_a_rotated_one_arrives() -> None:
    made = values(STORAGE, {"access_key": "old", "secret_key": "old"}, _read)
    assert made == {"access_key": "AKIA", "secret_key": "s{3}cr}et"}


def test_a_secret_that_cannot_be_read_stops_everything() -> None:
    def missing(reference: SecretRef) -> str:
        raise SecretMissing(f"the environment variable `{reference.env}` is not set")

    with pytest.raises(SecretMissing, match="ACCESS"):
        values(STORAGE, None, missing)


def test_an_empty_secret_is_not_taken() -> None:
    with pytest.raises(ProvisionError, match=r"`ACCESS` for `access_key` of `kite-storage`"):
        values(STORAGE, None, lambda reference: "")


@pytest.mark.parametrize("known", ["Milvus", "MILVUS", "minioadmin", "root"])
def test_a_well_known_password_is_never_made(monkeypatch: pytest.MonkeyPatch, known: str) -> None:
    drawn = iter(known + "x" * len(known))
    monkeypatch.setattr(credentials.secrets, "choice", lambda letters: next(drawn))
    plan = SecretPlan("secrets", "s", "ns", entries={"p": "{p}"}, random={"p": len(known)})
    assert values(plan, None, _unused) == {"p": "x" * len(known)}


def test_the_manifest_of_a_secret_is_one_that_can_be_applied() -> None:
    (made,) = secret_manifests([ROOT], _unused)
    assert made["kind"] == "Secret"
    assert made["metadata"] == {
        "name": "kite-root",
        "namespace": "ns",
        "labels": {"app.kubernetes.io/instance": "kite"},
    }
    assert made["stringData"]["token"].startswith("root:")


def test_manifests_keep_what_the_cluster_has() -> None:
    there = {"username": "root", "password": "old", "token": "root:old"}
    asked: list[str] = []

    def existing(plan: SecretPlan) -> Any:
        asked.append(plan.name)
        return there if plan.name == "kite-root" else None

    root, users = secret_manifests([ROOT, USERS], _unused, existing)
    assert root["stringData"] == there
    assert asked == ["kite-root", "kite-users"]
    assert len(users["stringData"]["app"]) == 32


TLS = SecretPlan(
    "secrets",
    "kite-tls",
    "ns",
    certificate=CertificatePlan(hosts=("kite-milvus", "localhost")),
    type="kubernetes.io/tls",
)


def test_a_certificate_is_made_once() -> None:
    made = values(TLS, None, _unused)
    assert set(made) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    assert values(TLS, made, _unused) == made


def test_a_certificate_that_somebody_else_put_there_is_not_replaced() -> None:
    made = values(TLS, None, _unused)
    foreign = {key: text for key, text in made.items() if key != "ca.key"}
    with pytest.raises(ProvisionError, match=r"`ca\.key`"):
        values(TLS, foreign, _unused)
