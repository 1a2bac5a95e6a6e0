"""What is wrong with the keys of `backup` is found in the spec, with its place."""

from __future__ import annotations

import pytest

from kitestring.spec.crosscheck_backup import check_backup

GOOD = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def problems(**backup: object) -> list[tuple[str, str]]:
    found = check_backup({"backup": {"store": {"type": "local", "path": "x"}, **backup}})
    return [(".".join(map(str, p.path)), p.message) for p in found]


def test_a_spec_that_is_right_has_none() -> None:
    assert check_backup({}) is not None
    assert problems() == []
    assert problems(
        encryption={"type": "age", "recipients": [GOOD]},
        signing={"key": {"file": "keys/signing.key"}, "trusted": ["keys/signing.pub"]},
    ) == []  # fmt: skip
    assert problems(encryption={"type": "kms", "key_id": "alias/x"}) == []


@pytest.mark.parametrize(
    ("recipients", "path", "said"),
    [
        ([GOOD[:-1] + "q"], "backup.encryption.recipients.0", "a character is wrong"),
        ([GOOD[:-4]], "backup.encryption.recipients.0", "checksum"),
        ([GOOD, GOOD], "backup.encryption.recipients.1", "more than once"),
        (
            ["age1yubikey1qfz4q3v2q9lqjl5dqd0l8v7l4xhqjh3p8q6mvwc0w5jtrwrq8m0ycaxdvf8"],
            "backup.encryption.recipients.0",
            "nothing can be sealed",
        ),
    ],
)
def test_a_recipient_that_is_of_no_use_is_named(
    recipients: list[str], path: str, said: str
) -> None:
    ((where, message),) = problems(encryption={"type": "age", "recipients": recipients})
    assert where == path
    assert said in message


@pytest.mark.parametrize(
    ("trusted", "said"),
    [(["a.key"], "is the private key"), (["a.pub", "a.pub"], "more than once")],
)
def test_trusted_files(trusted: list[str], said: str) -> None:
    ((where, message),) = problems(signing={"key": {"file": "a.key"}, "trusted": trusted})
    assert where == f"backup.signing.trusted.{len(trusted) - 1}"
    assert said in message


def test_what_is_of_another_form_is_left_to_the_models() -> None:
    for wrong in (None, 7, "x", [], {"recipients": 7}, {"recipients": [7, None]}):
        assert problems(encryption=wrong) == []
        assert problems(signing=wrong) == []
