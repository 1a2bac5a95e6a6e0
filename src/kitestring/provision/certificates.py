"""A certificate authority of the deployment's own, and the proxy's certificate.

Elliptic curve P-256 with SHA-256. The authority lives for ten years and is kept when the
certificate is renewed, so that clients that trust it need nothing new.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from kitestring.errors import ProvisionError
from kitestring.manifests.base import CertificatePlan

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

KEYS = ("ca.crt", "ca.key", "tls.crt", "tls.key")
"""What the Secret holds. Pods mount `tls.crt` and `tls.key`, clients get `ca.crt`."""

RENEW_DAYS = 30
_CA_DAYS = 3650
_BACKDATED = timedelta(minutes=5)  # clocks of clients that are a little behind


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts, and why they were made: empty where the given ones were kept."""

    ca_cert: str
    ca_key: str = field(repr=False)
    cert: str
    key: str = field(repr=False)
    reason: str

    def values(self) -> dict[str, str]:
        """The keys of the Secret."""
        return {
            "ca.crt": self.ca_cert,
            "ca.key": self.ca_key,
            "tls.crt": self.cert,
            "tls.key": self.key,
        }


def certificates(
    plan: CertificatePlan, existing: Mapping[str, str] | None = None, *, now: datetime | None = None
) -> Certificates:
    """The certificates of a plan: the existing ones while they do, renewed by their authority.

    They are renewed when the names differ from the plan's, and when they end within 30 days. An
    authority that would end before the new certificate is made anew: clients have to be told.

    Raises:
        ProvisionError: what is there can't be read, or `cryptography` is not installed.
    """
    _require()
    now = now or datetime.now(UTC)
    if not existing:
        return _signed(plan, *_authority(plan, now), now, "there is none yet")
    ca_key, ca_cert = _read_key(existing["ca.key"], "ca.key"), _read(existing["ca.crt"], "ca.crt")
    if ca_key.public_key() != ca_cert.public_key():
        raise ProvisionError(
            "`ca.key` is not the key of `ca.crt`", hint="delete the Secret to have both made anew"
        )
    reason = _why_renew(plan, existing, ca_cert, now)
    if not reason:
        ca_pem, ca_key_pem, cert_pem, key_pem = (existing[key] for key in KEYS)
        return Certificates(ca_pem, ca_key_pem, cert_pem, key_pem, reason="")
    if ca_cert.not_valid_after_utc < now + timedelta(days=plan.days):
        ca_key, ca_cert = _authority(plan, now)
        reason += "; the authority is new too: give clients the new `ca.crt`"
    return _signed(plan, ca_key, ca_cert, now, reason)


def _why_renew(
    plan: CertificatePlan, existing: Mapping[str, str], ca: x509.Certificate, now: datetime
) -> str:
    cert, key = _read(existing["tls.crt"], "tls.crt"), _read_key(existing["tls.key"], "tls.key")
    if cert.not_valid_after_utc < now + timedelta(days=RENEW_DAYS):
        return f"it ends on {cert.not_valid_after_utc:%Y-%m-%d}"
    if _hosts_of(cert) != {_normal(host) for host in plan.hosts}:
        return "the names have changed"
    if key.public_key() != cert.public_key() or not _signed_by(cert, ca):
        return "key, certificate and authority do not belong together"
    return ""


def _authority(
    plan: CertificatePlan, now: datetime
) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{plan.hosts[0]} authority")
    cert = (
        _builder(name, name, key.public_key(), now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, cert


def _signed(
    plan: CertificatePlan,
    ca_key: EllipticCurvePrivateKey,
    ca: x509.Certificate,
    now: datetime,
    reason: str,
) -> Certificates:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    cert = (
        _builder(_name(plan.hosts[0]), ca.subject, key.public_key(), now, plan.days)
        .add_extension(x509.SubjectAlternativeName(_san(plan.hosts)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Certificates(_pem(ca), _key_pem(ca_key), _pem(cert), _key_pem(key), reason)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Any, now: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(**set_: bool) -> x509.KeyUsage:
    from cryptography import x509

    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: set_.get(name, False) for name in names})


def _san(hosts: tuple[str, ...]) -> list[x509.GeneralName]:
    from cryptography import x509

    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(_normal(h) for h in hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            try:
                names.append(x509.DNSName(host))
            except ValueError:
                raise ProvisionError(
                    f"`{host}` can't stand in a certificate",
                    hint="write host names and addresses, names with other letters in punycode",
                    subject=host,
                ) from None
    return names


def _hosts_of(cert: x509.Certificate) -> set[str]:
    from cryptography import x509

    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names}


def _normal(host: str) -> str:
    """A host as certificates write it: an address in its short form, a name in lower case."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return host.lower().rstrip(".")


def _name(text: str) -> x509.Name:
    from cryptography import x509

    # X.520 ends a common name at 64 characters; clients look at the alternative names anyway
    return x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text[:64])])


def _signed_by(cert: x509.Certificate, ca: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        cert.verify_directly_issued_by(ca)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _read(pem: str, key: str) -> x509.Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise _unreadable(key) from None


def _read_key(pem: str, key: str) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise _unreadable(key) from None
    if not isinstance(found, EllipticCurvePrivateKey):
        raise _unreadable(key)
    return found


def _unreadable(key: str) -> ProvisionError:
    return ProvisionError(
        f"`{key}` of the certificate's Secret is not one that Kitestring made",
        hint="for a certificate of your own write `tls: {type: secret, secret: NAME}`; to have "
        "authority and certificate made anew, delete the Secret",
        subject=key,
    )


def _pem(cert: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return cert.public_bytes(Encoding.PEM).decode()


def _key_pem(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _require() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise ProvisionError(
            "a certificate can't be made: the package `cryptography` is not installed",
            hint="install the extra: pip install 'kitestring[kubernetes]'",
        ) from None
