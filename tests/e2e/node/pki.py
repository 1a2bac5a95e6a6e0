"""The node's own certificate authority, and kubeconfigs with client certificates of it."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=7)


class Authority:
    """A certificate authority whose files lie in `folder`: `ca.crt`, and a pair for each name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject("kitestring-test-ca", ())
        builder = _builder(self._name, self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(_pem(self.certificate))

    def issue(
        self, name: str, common_name: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> None:
        """Writes `<name>.crt` and `<name>.key` for servers (`hosts`) and clients (`groups`)."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(host) for host in hosts]
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = _builder(_subject(common_name, groups), self._name, key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._write(f"{name}.crt", _pem(builder.sign(self._key, hashes.SHA256())))
        self._write(f"{name}.key", _key_pem(key))

    def signing_key(self, name: str) -> None:
        """A key pair for service-account tokens: `<name>.key` and `<name>.pub`."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(f"{name}.key", _key_pem(key))
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._write(f"{name}.pub", public)

    def kubeconfig(self, file: Path, name: str, server: str) -> None:
        """A kubeconfig that speaks as `<name>.crt`, with everything inside it."""

        def inline(path: Path) -> str:
            return base64.b64encode(path.read_bytes()).decode()

        user = {
            "client-certificate-data": inline(self.folder / f"{name}.crt"),
            "client-key-data": inline(self.folder / f"{name}.key"),
        }
        cluster = {"server": server, "certificate-authority-data": inline(self.ca_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kitestring-test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [
                {"name": "kitestring-test", "context": {"cluster": "kitestring-test", "user": name}}
            ],
            "current-context": "kitestring-test",
        }
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    def _write(self, name: str, data: bytes) -> None:
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_bytes(data)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
    )


def _subject(common_name: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
