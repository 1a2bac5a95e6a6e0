"""Certificates: a real TLS handshake trusts them, and they are renewed when they have to be."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.errors import ProvisionError
from kitestring.manifests.base import CertificatePlan
from kitestring.provision.certificates import Certificates, certificates

PLAN = CertificatePlan(
    hosts=("kite-milvus", "kite-milvus.ns.svc", "localhost", "127.0.0.1", "::1"), days=825
)


def _handshake(made: Certificates, host: str, folder: Path) -> None:
    """A client that trusts `ca.crt` talks to a server with `tls.crt`.

    Raises:
        ssl.SSLError: it does not trust it.
    """
    for name, text in made.values().items():
        (folder / name).write_text(text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    client = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=host)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[int] = set()
    while len(done) < 2:
        for number, side in enumerate((one, other)):
            try:
                side.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("host", ["kite-milvus", "kite-milvus.ns.svc", "127.0.0.1", "::1"])
def test_a_client_trusts_the_server_under_each_of_its_names(tmp_path: Path, host: str) -> None:
    _handshake(certificates(PLAN), host, tmp_path)


def test_a_client_does_not_trust_it_under_another_name(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _handshake(certificates(PLAN), "milvus.example.com", tmp_path)


def test_a_client_does_not_trust_another_authority(tmp_path: Path) -> None:
    made, other = certificates(PLAN), certificates(PLAN)
    mixed = Certificates(other.ca_cert, other.ca_key, made.cert, made.key, "")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(mixed, "localhost", tmp_path)


def test_good_certificates_are_kept_letter_for_letter() -> None:
    made = certificates(PLAN)
    kept = certificates(PLAN, made.values())
    assert kept.values() == made.values()
    assert kept.reason == ""
    assert made.reason


def test_the_order_and_the_case_of_names_are_no_reason_to_renew() -> None:
    made = certificates(PLAN)
    again = CertificatePlan(hosts=("LOCALHOST", "0:0:0:0:0:0:0:1", *PLAN.hosts[:3], "127.0.0.1"))
    assert certificates(again, made.values()).reason == ""


def test_another_name_renews_the_certificate_and_keeps_the_authority(tmp_path: Path) -> None:
    made = certificates(PLAN)
    more = CertificatePlan(hosts=(*PLAN.hosts, "milvus.example.com"))
    renewed = certificates(more, made.values())
    assert "names" in renewed.reason
    assert (renewed.ca_cert, renewed.ca_key) == (made.ca_cert, made.ca_key)
    assert renewed.key != made.key
    _handshake(renewed, "milvus.example.com", tmp_path)


@given(st.integers(min_value=0, max_value=900))
@settings(max_examples=15)
def test_it_is_renewed_in_its_last_thirty_days(age: int) -> None:
    born = datetime(2030, 1, 1, tzinfo=UTC)
    made = certificates(PLAN, now=born)
    later = certificates(PLAN, made.values(), now=born + timedelta(days=age))
    assert (later.cert != made.cert) == (age > PLAN.days - 30)
    assert later.ca_cert == made.ca_cert


def test_an_authority_that_would_end_first_is_made_anew_and_says_so(tmp_path: Path) -> None:
    made = certificates(PLAN, now=datetime.now(UTC) - timedelta(days=3400))
    renewed = certificates(PLAN, made.values())
    assert renewed.ca_cert != made.ca_cert
    assert "ca.crt" in renewed.reason
    _handshake(renewed, "localhost", tmp_path)


def test_a_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    made, other = certificates(PLAN), certificates(PLAN)
    renewed = certificates(PLAN, made.values() | {"tls.key": other.key})
    assert "belong together" in renewed.reason
    _handshake(renewed, "localhost", tmp_path)


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    made, other = certificates(PLAN), certificates(PLAN)
    renewed = certificates(PLAN, made.values() | {"tls.crt": other.cert, "tls.key": other.key})
    assert renewed.ca_cert == made.ca_cert
    _handshake(renewed, "localhost", tmp_path)


@pytest.mark.parametrize("key", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
def test_what_cannot_be_read_is_named_and_not_shown(key: str) -> None:
    made = certificates(PLAN).values() | {key: "not PEM"}
    with pytest.raises(ProvisionError) as error:
        certificates(PLAN, made)
    assert f"`{key}`" in error.value.message
    assert "not PEM" not in error.value.message


def test_a_key_of_another_authority_is_an_error() -> None:
    made = certificates(PLAN).values() | {"ca.key": certificates(PLAN).ca_key}
    with pytest.raises(ProvisionError, match=r"`ca\.key` is not the key of `ca\.crt`"):
        certificates(PLAN, made)


def test_a_name_that_no_certificate_can_hold_is_an_error() -> None:
    with pytest.raises(ProvisionError, match="müller"):
        certificates(CertificatePlan(hosts=("müller.example.com",)))


def test_the_authority_signs_servers_and_nothing_below() -> None:
    made = certificates(PLAN)
    ca = x509.load_pem_x509_certificate(made.ca_cert.encode())
    server = x509.load_pem_x509_certificate(made.cert.encode())
    limits = ca.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (limits.ca, limits.path_length) == (True, 0)
    assert not server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    assert made.reason == "there is none yet"


def test_a_long_name_of_a_service_fits() -> None:
    certificates(CertificatePlan(hosts=("a" * 40 + "-milvus." + "b" * 63 + ".svc",)))
