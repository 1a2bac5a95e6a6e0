"""The spec that the day-2 jobs read: reachable inside the cluster, and still a valid spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kitestring.manifests.incluster import HOME, TLS_DIR, SecretKey, in_cluster
from kitestring.spec.check import check
from kitestring.spec.document import read_document
from kitestring.spec.load import load
from kitestring.spec.models import Spec
from kitestring.spec.types import FROM_FILE, SecretRef

CLUSTERS = Path(__file__).parents[3] / "infra" / "clusters"


def spec_of(name: str, **changes: Any) -> Spec:
    data = dict(read_document(CLUSTERS / f"{name}.yaml").data)
    for path, value in changes.items():
        where = data
        *parents, last = path.split("__")
        for key in parents:
            where = where[key]
        if value is None:
            where.pop(last, None)
        else:
            where[last] = value
    return Spec.model_validate(data, context=FROM_FILE)


def golden_of(spec: Spec) -> dict[str, str]:
    """A text for each file of golden queries."""
    return {c.golden: "- query: x\n" for c in spec.collections if c.golden}


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_derived_spec_passes_the_check(name: str, tmp_path: Path) -> None:
    derived = in_cluster(spec_of(name), golden_of(spec_of(name)))
    (tmp_path / "spec.yaml").write_text(derived.text)
    report = check(tmp_path / "spec.yaml", {})
    assert report.valid, report.lines()
    assert load(tmp_path / "spec.yaml", {}).spec == derived.spec


def test_milvus_is_reached_at_its_service_with_the_authority_of_its_certificate() -> None:
    derived = in_cluster(spec_of("dev"))
    connection = derived.spec.connection
    assert connection.uri == "https://dev-milvus.milvus-dev.svc:19530"
    assert connection.tls is not None
    assert connection.tls.ca_file == f"{TLS_DIR}/ca.crt"
    assert connection.tls.server_name is None
    assert derived.tls_secret == "dev-tls"
    assert connection.token is not None
    assert derived.env[connection.token.env or ""] == SecretKey("dev-root", "token")


def test_a_given_certificate_is_checked_for_the_name_that_it_has() -> None:
    derived = in_cluster(spec_of("prod"))
    assert derived.tls_secret == "prod-eu-milvus-tls"
    assert derived.spec.connection.tls is not None
    assert derived.spec.connection.tls.server_name == "milvus.prod.example.com"


def test_without_tls_nothing_is_mounted() -> None:
    derived = in_cluster(spec_of("dev", deployment__security=None))
    assert derived.spec.connection.uri == "http://dev-milvus.milvus-dev.svc:19530"
    assert derived.spec.connection.tls is None
    assert derived.tls_secret is None


def test_bundled_minio_is_reached_with_its_own_keys() -> None:
    derived = in_cluster(spec_of("dev"))
    storage = derived.spec.storage
    assert storage is not None
    assert storage.type == "s3"
    assert storage.endpoint_url == "http://dev-minio.milvus-dev.svc:9000"
    assert storage.access_key is not None
    assert derived.env[storage.access_key.env or ""] == SecretKey("dev-minio", "access_key")


def test_an_identity_needs_no_keys() -> None:
    storage = in_cluster(spec_of("prod")).spec.storage
    assert storage is not None
    assert storage.type == "s3"
    assert storage.access_key is None
    assert storage.bucket == "prod-eu-milvus"


def test_static_keys_of_external_storage_come_from_the_secret_of_milvus() -> None:
    derived = in_cluster(spec_of("prod", deployment__identity=None))
    assert derived.env["STORAGE_SECRET_KEY"] == SecretKey("prod-eu-storage", "secret_key")


def test_credentials_of_backups_and_models_go_to_the_secret_of_the_jobs() -> None:
    derived = in_cluster(spec_of("prod"))
    assert set(derived.refs) == {
        "backup_access_key",
        "backup_secret_key",
        "model_0_base_url",
        "model_0_api_key",
    }
    assert derived.refs["backup_secret_key"].file == "/run/secrets/backup-s3-secret-key"
    assert derived.env["MODEL_0_API_KEY"] == SecretKey("prod-eu-jobs", "model_0_api_key")


def test_no_path_or_secret_of_the_users_machine_is_left() -> None:
    derived = in_cluster(spec_of("prod"))
    assert "/run/secrets" not in derived.text
    assert "EMBEDDINGS_API_KEY" not in derived.text
    assert derived.spec.state.startswith(HOME)
    local = in_cluster(spec_of("dev")).spec.backup
    assert local is not None
    assert local.store.type == "local"
    assert local.store.path == f"{HOME}/backups"


def test_golden_queries_go_along_where_their_text_is_given(tmp_path: Path) -> None:
    derived = in_cluster(spec_of("dev"), golden_of(spec_of("dev")))
    for name, text in {"spec.yaml": derived.text, **derived.files}.items():
        (tmp_path / name).write_text(text)
    loaded = load(tmp_path / "spec.yaml", {})
    golden = loaded.spec.collections[0].golden
    assert golden is not None
    assert loaded.resolve(golden).read_text() == "- query: x\n"
    assert in_cluster(spec_of("dev")).spec.collections[0].golden is None


def test_keys_of_sealed_and_signed_backups_go_along(tmp_path: Path) -> None:
    recipient = "age1" + "q" * 58
    spec = spec_of(
        "dev",
        backup__encryption={
            "type": "age",
            "recipients": [recipient],
            "identity": {"env": "AGE_IDENTITY"},
        },
        backup__signing={"key": {"file": "keys/signing.pem"}, "trusted": ["keys/signing.pub"]},
    )
    derived = in_cluster(spec, {"keys/signing.pub": "PUBLIC"})
    backup = derived.spec.backup
    assert backup is not None
    assert backup.encryption is not None
    assert backup.encryption.type == "age"
    assert backup.encryption.identity == SecretRef(env="BACKUP_IDENTITY", file=None)
    assert backup.signing is not None
    assert backup.signing.key == SecretRef(env="BACKUP_SIGNING_KEY", file=None)
    assert [derived.files[name] for name in backup.signing.trusted] == ["PUBLIC"]
    assert derived.refs["backup_identity"] == SecretRef(env="AGE_IDENTITY", file=None)
    assert derived.refs["backup_signing_key"] == SecretRef(env=None, file="keys/signing.pem")
    assert derived.env["BACKUP_SIGNING_KEY"] == SecretKey("dev-jobs", "backup_signing_key")


def test_pods_have_no_kubeconfig_and_no_passwords_of_users() -> None:
    derived = in_cluster(spec_of("dev"))
    assert derived.spec.deployment is None
    assert derived.spec.access is not None
    assert [u.name for u in derived.spec.access.users] == ["app"]
    assert not any("PASSWORD" in variable for variable in derived.env)
