"""A signature is of one document, by one trusted key, and anybody can check it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.backup.seal.keys import new_pair
from kitestring.backup.seal.sign import (
    Signer,
    Verifier,
    message,
    read_trusted,
    signer_of,
    verifier_of,
)
from kitestring.errors import SealKeyInvalid, SealKeyMissing, SignatureInvalid
from kitestring.spec.loaded import LoadedSpec

DATA, CONTEXT = b'{"rows": 1}', "drill 20250131T013000Z-1a2b3c"


def test_what_was_signed_is_believed(signer: Signer, verifier: Verifier) -> None:
    signature = signer.sign_document(DATA, CONTEXT)
    assert verifier.check_document(DATA, CONTEXT, signature) == signer.key_id
    assert json.loads(signature)["key"] == signer.key_id


def test_openssl_checks_it_too(signer: Signer, signing_keys: Path, tmp_path: Path) -> None:
    signature = json.loads(signer.sign_document(DATA, CONTEXT))["signature"]
    (tmp_path / "message").write_bytes(message(DATA, CONTEXT))
    (tmp_path / "signature").write_bytes(base64.b64decode(signature))
    found = subprocess.run(
        [
            "openssl", "pkeyutl", "-verify", "-rawin", "-pubin",
            "-inkey", signing_keys / "signing.pub",
            "-in", tmp_path / "message", "-sigfile", tmp_path / "signature",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "Verified Successfully" in found.stdout


@settings(max_examples=150)
@given(data=st.data())
def test_no_bit_of_document_or_signature_can_be_flipped(
    signer: Signer, verifier: Verifier, data: st.DataObject
) -> None:
    signature = signer.sign_document(DATA, CONTEXT)
    whole = bytearray(DATA + signature)
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verifier.check_document(bytes(whole[: len(DATA)]), CONTEXT, bytes(whole[len(DATA) :]))


@pytest.mark.parametrize(
    ("context", "signature", "said"),
    [
        ("drill 20250131T013000Z-ffffff", None, "not signed"),
        ("manifest 20250131T013000Z-1a2b3c", "right", "is of `drill"),
        (CONTEXT, b"hello", "can't be read"),
        (CONTEXT, b"[]", "can't be read"),
        (CONTEXT, b"{}", "can't be read"),
    ],
)
def test_what_is_not_signed_as_this_is_not_believed(
    signer: Signer, verifier: Verifier, context: str, signature: bytes | str | None, said: str
) -> None:
    right = signer.sign_document(DATA, CONTEXT)
    with pytest.raises(SignatureInvalid, match=said):
        verifier.check_document(
            DATA,
            context,
            right if signature == "right" else signature,  # type: ignore[arg-type]
        )


def test_a_context_that_is_rewritten_does_not_help(signer: Signer, verifier: Verifier) -> None:
    found = json.loads(signer.sign_document(DATA, CONTEXT))
    found["context"] = "manifest x"
    with pytest.raises(SignatureInvalid, match="not that of its content"):
        verifier.check_document(DATA, "manifest x", json.dumps(found).encode())


def test_a_stranger_s_signature_is_not_believed(verifier: Verifier, tmp_path: Path) -> None:
    from kitestring.backup.seal.sign import parse_private

    new_pair(tmp_path / "other", "signing")
    stranger = Signer(
        lambda: parse_private((tmp_path / "other/signing.key").read_bytes(), "signing.key")
    )
    with pytest.raises(SignatureInvalid, match="does not trust"):
        verifier.check_document(DATA, CONTEXT, stranger.sign_document(DATA, CONTEXT))


def test_two_keys_are_trusted_while_they_change(
    signer: Signer, signing_keys: Path, tmp_path: Path
) -> None:
    new_pair(tmp_path / "next", "signing")
    both = Verifier(
        lambda: read_trusted([signing_keys / "signing.pub", tmp_path / "next/signing.pub"])
    )
    assert both.check_document(DATA, CONTEXT, signer.sign_document(DATA, CONTEXT))


def test_keys_of_a_spec(
    spec_with: Callable[[str], LoadedSpec], signing_keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = spec_with(
        "signing: {key: {env: THE_KEY}, trusted: [keys/signing.pub]}",
    )
    signer, verifier = signer_of(loaded), verifier_of(loaded)
    assert signer is not None
    assert verifier is not None
    monkeypatch.setenv("THE_KEY", (signing_keys / "signing.key").read_text())
    signature = signer.sign_document(DATA, CONTEXT)
    assert verifier.check_document(DATA, CONTEXT, signature) == signer.key_id
    only_reads = spec_with("signing: {trusted: [keys/signing.pub]}")
    assert signer_of(only_reads) is None
    assert verifier_of(only_reads) is not None
    assert signer_of(spec_with("")) is verifier_of(spec_with("")) is None


@pytest.mark.parametrize(
    ("trusted", "error", "said"),
    [
        ("nothing.pub", SealKeyMissing, "nothing.pub can't be read"),
        ("keys/signing.key", SealKeyInvalid, "is a private key"),
        ("cluster.yaml", SealKeyInvalid, "no Ed25519 public key"),
        ("rsa.pub", SealKeyInvalid, "no Ed25519 public key"),
    ],
)
def test_what_is_no_public_key_is_named(
    spec_with: Callable[[str], LoadedSpec],
    signing_keys: Path,
    tmp_path: Path,
    trusted: str,
    error: type[Exception],
    said: str,
) -> None:
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519", "-out", tmp_path / "rsa"], check=True
    )
    subprocess.run(
        ["openssl", "pkey", "-in", tmp_path / "rsa", "-pubout", "-out", tmp_path / "rsa.pub"],
        check=True,
    )
    verifier = verifier_of(spec_with(f"signing: {{trusted: [{trusted}]}}"))
    assert verifier is not None
    with pytest.raises(error, match=said):
        verifier.check_document(DATA, CONTEXT, b"{}")


def test_a_private_key_is_never_shown(
    spec_with: Callable[[str], LoadedSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "-----BEGIN PRIVATE KEY-----\nsecretsecret\n")
    signer = signer_of(spec_with("signing: {key: {env: THE_KEY}, trusted: [keys/signing.pub]}"))
    assert signer is not None
    with pytest.raises(SealKeyInvalid, match=r"\$THE_KEY is no Ed25519") as error:
        signer.sign_document(DATA, CONTEXT)
    assert "secretsecret" not in str(error.value.as_dict())
