"""Isolation that can't be proven the way the spec says is named before a run."""

from __future__ import annotations

import pytest

from kitestring.spec.crosscheck_isolation import check_isolation


def problems(tenancy: str, isolation: object, **more: object) -> list[tuple[str, str]]:
    collection = {"tenancy": tenancy, "isolation": isolation, **more}
    data = {"collections": [collection], "access": {"users": [{"name": "ann"}]}}
    return [(".".join(map(str, p.path)), p.message) for p in check_isolation(data)]


@pytest.mark.parametrize(
    ("tenancy", "isolation", "more"),
    [
        ("none", None, {}),
        ("field", {"tenants": ["a"], "write": True}, {}),
        ("partition-key", {}, {}),
        ("partition", {}, {"partitions": ["a"]}),
        ("collection", {"tenant": "a", "users": ["ann"]}, {}),
        ("database", {"tenant": "a"}, {}),
    ],
)
def test_right(tenancy: str, isolation: object, more: dict[str, object]) -> None:
    assert problems(tenancy, isolation, **more) == []


@pytest.mark.parametrize(
    ("tenancy", "isolation", "more", "path", "said"),
    [
        ("none", {}, {}, "isolation", "`tenancy`"),
        ("field", {}, {"fields": {"tenant_id": "none"}}, "isolation", "whose a row is"),
        ("partition", {}, {}, "isolation", "`partitions`"),
        ("collection", {}, {}, "isolation", "`tenant`"),
        ("field", {"tenant": "a"}, {}, "isolation.tenant", "collection"),
        ("field", {"users": ["ann"]}, {}, "isolation.users", "collection"),
        ("collection", {"tenant": "a", "write": True}, {}, "isolation.write", "field"),
        ("collection", {"tenant": "a", "users": ["an"]}, {}, "isolation.users.0", "no such user"),
    ],
)
def test_wrong(
    tenancy: str, isolation: object, more: dict[str, object], path: str, said: str
) -> None:
    ((where, message),) = problems(tenancy, isolation, **more)
    assert where == f"collections.0.{path}"
    assert said in message
