"""A scope fails closed: whatever a client gives, the filter is of one tenant or there is none."""

from __future__ import annotations

import ast
import enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kitestring.tenancy import ScopeRefused, check_where, tenant_filter

AWKWARD = st.text(st.sampled_from("ab\"'\\()[]{} =|&%*\n\t\x00\u2028éß漢\U0001f9a0"), max_size=24)
LIMIT = settings(max_examples=150)


@pytest.mark.parametrize(
    "tenant", [None, "", " ", "\t\n", "*", "%", "acme*", "a%", True, False, 1.5, [], ["acme"],
               {}, b"acme", 2**63, -(2**63), "\x00", "a\nb", "\ud800"],
)  # fmt: skip
def test_what_names_no_tenant_is_refused(tenant):
    with pytest.raises(ScopeRefused) as caught:
        tenant_filter(tenant, where="lang == 'de'")
    assert caught.value.hint
    assert caught.value.exit_code == 64


def test_the_filter():
    assert tenant_filter("acme") == '(tenant_id == "acme")'
    assert tenant_filter(7, field="org") == "(org == 7)"
    assert (
        tenant_filter("a", "lang == 'de' or year > 2020")
        == "(tenant_id == \"a\") and (lang == 'de' or year > 2020)"
    )
    assert tenant_filter('a" or "1" == "1') == r'(tenant_id == "a\" or \"1\" == \"1")'
    assert tenant_filter("a\\") == r'(tenant_id == "a\\")'


class Org(int, enum.Enum):
    ACME = 7


class Name(str, enum.Enum):  # noqa: UP042 - as applications have them
    ACME = "acme"


def test_a_member_of_an_enum_is_its_value():
    assert tenant_filter(Org.ACME) == "(tenant_id == 7)"
    assert tenant_filter(Name.ACME) == '(tenant_id == "acme")'


@pytest.mark.parametrize(
    "where",
    [
        "x == 1) or (1 == 1",
        r'x == "\q" or y == ""',
        r'x == "\xzz"',
        r'x == "\u12"',
        ") or (tenant_id != ''",
        "x == 1))) or (((1 == 1",
        "(x == 1",
        "x in [1, 2",
        "x in [1)",
        "x == 'open",
        'x == "open\\"',
        "x == 1 // ) or (",
        "x == 1; y",
        "x == 1 \\) or (1 == 1",
        "x == 1\n) or (1 == 1",
        "x == 'a\n' ) or ('",
        " ",
        "(" * 500 + ")" * 500,
    ],
)
def test_a_filter_that_would_lead_out_is_refused(where):
    with pytest.raises(ScopeRefused):
        tenant_filter("acme", where)


@pytest.mark.parametrize(
    "where",
    ["text like 'a) or (1==1'", 'doc in ["a]", "b\\\\"]', "a['k'] == \"it's\"", "x in {ids}"],
)
def test_brackets_within_quotes_are_text(where):
    assert tenant_filter("acme", where).endswith(f" and ({where})")


@pytest.mark.parametrize("field", ["", "a b", "x == 1 or y", "1a", None, "a" * 256])
def test_a_field_is_a_name(field):
    with pytest.raises(ScopeRefused):
        tenant_filter("acme", field=field)


@LIMIT
@given(AWKWARD)
def test_the_value_is_one_string_that_reads_back(tenant):
    try:
        made = tenant_filter(tenant)
    except ScopeRefused:
        return
    head, tail = "(tenant_id == ", ")"
    assert made.startswith(head)
    assert made.endswith(tail)
    # a Milvus string has the escapes of a Python one
    assert ast.literal_eval(made[len(head) : -len(tail)]) == tenant


@LIMIT
@given(AWKWARD)
def test_what_a_user_adds_stays_in_its_brackets(where):
    try:
        check_where(where)
    except ScopeRefused:
        return
    made = tenant_filter("acme", where)
    depth, closed, at, quote = 0, [], 0, ""
    while at < len(made):  # where do brackets come to an end, read from the start?
        char = made[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            assert depth >= 0
            if depth == 0:
                closed.append(at)
        at += 1
    assert (quote, depth) == ("", 0)
    assert closed == [len('(tenant_id == "acme"'), len(made) - 1]
