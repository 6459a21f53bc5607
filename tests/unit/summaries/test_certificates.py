"""Which certificates fit the name that was asked for."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.summaries.certificates import cert_fits, common_names

CA = "CN=R3,O=Let's Encrypt,C=US"


def fits(subject: str | None, sni: str | None, issuer: str | None = CA, self_signed: bool | None = None) -> bool | None:
    texts = (pa.array([value, "CN=x.example"], pa.string()) for value in (subject, issuer))
    result = cert_fits(*texts, pa.array([self_signed, None], pa.bool_()), pa.array([sni, "y.example"], pa.string()))
    value: bool | None = result.to_pylist()[0]
    return value


@pytest.mark.parametrize(
    ("subject", "sni", "fit"),
    [
        ("CN=www.example.com,O=Org", "www.example.com", True),
        ("CN=WWW.Example.COM", "www.eXample.com", True),
        ("C=US,O=Org,CN=www.example.com", "www.example.com", True),
        ("emailAddress=a@b.example,CN=www.example.com,OU=x", "www.example.com", True),
        ("O=Org, CN = www.example.com , C=US", "www.example.com", True),
        ("OU=x+CN=www.example.com,O=Org", "www.example.com", True),
        ("CN=other.example", "www.example.com", False),
        ("CN=example.com", "www.example.com", False),
        ("CN=www.example.com.evil.example", "www.example.com", False),
        ("CN=www.example.com", "example.com", False),
    ],
)
def test_the_common_name_is_the_name_asked_for(subject: str, sni: str, fit: bool) -> None:
    assert fits(subject, sni) is fit


@pytest.mark.parametrize(
    ("subject", "sni", "fit"),
    [
        ("CN=*.example.com", "www.example.com", True),
        ("CN=*.example.com", "example.com", False),
        ("CN=*.example.com", "a.www.example.com", False),
        ("CN=*.www.example.com", "www.example.com", False),
        ("CN=w*.example.com", "www.example.com", False),  # only the whole label
        ("CN=*.com", "example.com", False),  # no authority gives this to anybody
        ("CN=*", "localhost", False),
        ("CN=*.example.com", "*.example.com", True),
        ("CN=wwwXexample.com", "www.example.com", False),  # a dot is a dot
    ],
)
def test_a_wildcard_stands_for_the_first_label(subject: str, sni: str, fit: bool) -> None:
    assert fits(subject, sni) is fit


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        (r"O=Org\, CN=www.example.com,CN=far.example", "far.example"),  # within the organisation's name
        (r"O=Org\\,CN=www.example.com", "www.example.com"),  # a backslash of its own, then a comma
        (r"O=Org\+CN=www.example.com", None),
        (r'O="Org, CN=www.example.com"', None),
        (r"CN=www.example.com\,x", r"www.example.com\,x"),
        (r"CN=a\2Cb.example", r"a\2cb.example"),
        ("CN=first.example,CN=second.example", "first.example"),
        ("XCN=www.example.com", None),
        ("O=Org", None),
        ("", None),
        ("CN=www.example.com\\", None),  # cut in the middle of an escape
        (None, None),
    ],
)
def test_escaped_commas_begin_no_common_name(subject: str | None, name: str | None) -> None:
    assert common_names(pa.array([subject], pa.string())).to_pylist() == [name]


@given(st.lists(st.one_of(st.none(), st.text(alphabet='CN=,+\\" a.*', max_size=30)), max_size=8))
def test_any_subject_can_be_read_and_each_by_itself(subjects: list[str | None]) -> None:
    names = common_names(pa.array(subjects, pa.string())).to_pylist()
    assert names == [common_names(pa.array([s], pa.string())).to_pylist()[0] for s in subjects]


@given(st.text(alphabet='CN=,+\\"# a.', max_size=20))
def test_no_text_that_is_escaped_passes_for_a_common_name(text: str) -> None:
    escaped = "".join(f"\\{c}" if c in ',+"\\#=' else c for c in text)
    assert common_names(pa.array([f"O={escaped},CN=far.example"])).to_pylist() == ["far.example"]


@pytest.mark.parametrize(
    ("issuer", "self_signed", "fit"),
    [
        (CA, False, True),
        (CA, None, True),
        (None, False, True),
        ("CN=www.example.com", None, False),
        ("CN=www.example.com", False, False),
        (None, True, False),
        (CA, True, False),
        (None, None, None),
    ],
)
def test_whoever_signs_his_own_fits_nothing(issuer: str | None, self_signed: bool | None, fit: bool | None) -> None:
    assert fits("CN=www.example.com", "www.example.com", issuer, self_signed) is fit


@pytest.mark.parametrize(
    ("subject", "sni"),
    [(None, "www.example.com"), ("CN=www.example.com", None), ("CN=www.example.com", ""), ("O=Org", "www.example.com")],
)
def test_nothing_without_certificate_common_name_or_sni(subject: str | None, sni: str | None) -> None:
    for self_signed in (True, False, None):
        assert fits(subject, sni, self_signed=self_signed) is None


def test_columns_without_values_and_without_rows() -> None:
    for rows in (0, 3):
        text, flag = pa.nulls(rows, pa.string()), pa.nulls(rows, pa.bool_())
        assert cert_fits(text, text, flag, text).equals(flag)
    assert common_names(pa.array([], pa.string())).to_pylist() == []
