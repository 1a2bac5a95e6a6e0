"""What is written for age recipients is an age file: others open it, and it opens theirs."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.backup.seal import age
from kitestring.backup.seal.stream import CHUNK, OpeningReader, SealingReader, read_head
from kitestring.errors import SealBroken, SealKeyInvalid, WrongKey
from kitestring.model import bech32

# identity of C2SP age.md, with its recipient below
KNOWN = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 9 * CHUNK + 7]


def sealed(data: bytes, *recipients: str) -> bytes:
    head, cipher = age.make_head([age.parse_recipient(r) for r in recipients])
    return SealingReader(io.BytesIO(data), head, cipher, None).read()


def opened(data: bytes, identity: str, recipients: int = 1) -> bytes:
    stream = io.BytesIO(data)
    head = read_head(stream, age.head_size(recipients), "k")
    cipher = age.open_head(head, age.parse_identities(identity, "test"), "k")
    return OpeningReader(stream, cipher, None, "k").read()


@pytest.mark.parametrize("size", SIZES)
def test_another_implementation_opens_it(size: int) -> None:
    import pyrage

    identity, recipient = age.new_identity()
    data = os.urandom(size)
    other = pyrage.x25519.Identity.from_str(identity)
    assert str(other.to_public()) == recipient
    assert pyrage.decrypt(sealed(data, recipient), [other]) == data


@pytest.mark.skipif(shutil.which("age") is None, reason="the age tool is not on this machine")
def test_the_age_tool_opens_it(tmp_path: Path) -> None:
    identity, recipient = age.new_identity()
    data = os.urandom(3 * CHUNK + 5)
    (tmp_path / "id").write_text(f"{identity}\n")
    (tmp_path / "object").write_bytes(sealed(data, age.new_identity()[1], recipient))
    found = subprocess.run(
        ["age", "-d", "-i", tmp_path / "id", tmp_path / "object"], capture_output=True, check=True
    )
    assert found.stdout == data


def test_it_opens_what_another_implementation_has_sealed() -> None:
    import pyrage

    identity, recipient = age.new_identity()
    data = os.urandom(CHUNK + 10)
    to = pyrage.x25519.Recipient.from_str(recipient)
    # theirs has a stanza of a random length that nobody is to recognise: a head of another size,
    # but for the rare one that is as long as so many recipients
    one = age.head_size(2) - age.head_size(1)
    size = age.head_size(1)
    while (size - age.head_size(1)) % one == 0:
        theirs = pyrage.encrypt(data, [to])
        size = theirs.index(b"\n---") + 1 + 48 + 16
    head, stream = theirs[:size], io.BytesIO(theirs[size:])
    stanza = head.index(b"-> X25519")
    with pytest.raises(SealBroken):
        age.open_head(head, age.parse_identities(identity, "test"), "k")
    share, wrapped = age._stanza(head[stanza : stanza + 98], "k")
    file_key = age._unwrapped(share, wrapped, age.parse_identities(identity, "test")[0])
    assert file_key is not None
    cipher = age._payload(file_key, head[-16:])
    assert OpeningReader(stream, cipher, None, "k").read() == data


@pytest.mark.parametrize("recipients", [1, 2, 5])
def test_any_recipient_opens_it_and_the_head_has_its_size(recipients: int) -> None:
    pairs = [age.new_identity() for _ in range(recipients)]
    data = sealed(b"content", *(recipient for _, recipient in pairs))
    assert len(data) == age.head_size(recipients) + 7 + 16
    for identity, _ in pairs:
        assert opened(data, identity, recipients) == b"content"


def test_another_identity_opens_nothing() -> None:
    with pytest.raises(WrongKey, match="does not open with the identity"):
        opened(sealed(b"content", age.new_identity()[1]), age.new_identity()[0])


@settings(max_examples=300)
@given(bit=st.integers(0, (184 + 50 + 16) * 8 - 1))
def test_no_bit_of_head_or_content_can_be_flipped(bit: int) -> None:
    identity, _ = PAIR
    changed = bytearray(SEALED)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises((SealBroken, WrongKey)):
        opened(bytes(changed), identity)


PAIR = age.new_identity()
SEALED = sealed(b"x" * 50, PAIR[1])


@pytest.mark.parametrize(
    "text",
    [
        KNOWN,
        f"# created: now\n\n{KNOWN}\n",
    ],
)
def test_the_key_of_the_format_s_description(text: str) -> None:
    (found,) = age.parse_identities(text, "test")
    wanted = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    assert age.recipient_text(found.public) == wanted
    assert age.parse_recipient(wanted) == found.public
    assert "GFPYY" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no age identity"),
        ("# nothing\n", "no age identity"),
        ("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj", "AGE-SECRET-KEY-1"),
        ("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEQ", "line 1"),
        ("hello", "line 1 of here"),
    ],
)
def test_what_is_no_identity_is_named_and_not_shown(text: str, said: str) -> None:
    with pytest.raises(SealKeyInvalid, match=said) as error:
        age.parse_identities(text, "here")
    assert "GFPYY" not in error.value.message


@pytest.mark.parametrize(
    "text",
    [
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwq",
        bech32.encode("age1pq", bytes(32)),
        bech32.encode("age", bytes(33)),
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(SealKeyInvalid, match="can't be used"):
        age.parse_recipient(text)


@given(st.binary(max_size=80))
def test_bech32_gives_back_what_it_was_given(data: bytes) -> None:
    text = bech32.encode("some", data)
    assert bech32.decode(text) == bech32.decode(text.upper()) == ("some", data)
    spoilt = text[:-1] + ("q" if text[-1] != "q" else "p")
    with pytest.raises(ValueError, match="checksum"):
        bech32.decode(spoilt)
