"""The file of the allowlist: read strictly, told by line, written without losing what else is in it."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopscope.allow import entries, items, writing
from hopscope.allow.entries import Entry
from hopscope.errors import UsageError

TODAY = datetime.date(2026, 11, 22)
WHOLE = """\
# ours
[groups]
backup = ["10.1.2.0/28", "10.1.3.7"]

[[allow]]
id = "nightly"
reason = "backups at night"
author = "ada"
added = 2026-11-01
expires = 2027-02-20   # a quarter
names = ["Vault.Example.net", "*.vault.example.net"]
clients = ["backup", "10.9.0.0/16"]

[[allow]]
id = "hoster"
reason = "our second site"
expires = "never"
networks = ["203.0.113.0/24"]
addresses = ["198.51.100.7:22/tcp"]
asns = [64500, "AS64501"]
fingerprints = ["ja4:t13d1516h2_8daaf6152771_02713d6af862"]
heuristics = ["byte_ratio"]
"""


def read(text: str) -> entries.Allowlist:
    return entries.parse(text, Path("allow.toml"))


def entry(lines: str) -> str:
    return f'[[allow]]\nid = "x"\nreason = "r"\nexpires = "never"\n{lines}\n'


def test_an_allowlist_is_read() -> None:
    nightly, hoster = read(WHOLE).entries
    assert (nightly.author, nightly.added, nightly.expires) == (
        "ada", datetime.date(2026, 11, 1), datetime.date(2027, 2, 20)
    )  # fmt: skip
    assert nightly.names == ("vault.example.net", ".vault.example.net")
    assert [str(n) for n in nightly.client_nets] == ["10.1.2.0/28", "10.1.3.7/32", "10.9.0.0/16"]
    assert hoster.expires is None
    assert hoster.asns == (64500, 64501)
    assert hoster.heuristics == ("byte_ratio",)


def test_an_entry_ends_with_the_day_before_it_expires() -> None:
    nightly = read(WHOLE).entries[0]
    assert nightly.in_force(datetime.date(2027, 2, 19))
    assert not nightly.in_force(datetime.date(2027, 2, 20))
    assert read(WHOLE).entries[1].in_force(datetime.date(9999, 1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (entry(""), "would hide everything"),
        (entry('networks = ["0.0.0.0/0"]'), "every address there is"),
        (entry('networks = ["0.0.0.0/1", "128.0.0.0/1"]'), "together every address there is"),
        (entry('clients = ["::/1", "8000::/1"]'), "together every address there is"),
        (entry('names = ["*.com"]'), r"every name under \.com"),
        (entry('names = "example.com"'), "must be a list"),
        (entry("networks = [1]"), "must be a list of texts"),
        (entry('clients = ["backup"]'), "neither a network of ours nor a group"),
        (entry('heuristics = ["path_gpa"]'), "did you mean 'path_gap'"),
        (entry('adresses = ["203.0.113.9"]'), "did you mean 'addresses'"),
        (entry('names = ["a.example"]').replace('"r"', '"  "'), "the reason is empty"),
        (entry('names = ["a.example"]').replace('reason = "r"\n', ""), "no text in `reason`"),
        (entry('names = ["a.example"]').replace('"never"', '"soon"'), "must be a date"),
        (entry('names = ["a.example"]').replace('"never"', "2027-01-01T00:00:00Z"), "must be a date"),
        (entry('names = ["a.example"]').replace('expires = "never"\n', ""), "has no `expires`"),
        (entry('names = ["a.example"]').replace('"x"', '"a b"'), "must be letters"),
        (entry('names = ["a.example"]') * 2, "another entry's already"),
        ("allow = 3", "must be entries"),
        ("[allowed]", "unknown section"),
        ("groups = 3", "must be a table"),
        ('[groups]\nb = ["x"]', "group 'b'"),
        ("[[allow]", "not valid TOML"),
        (entry(f"asns = [{'1' * 5000}]"), "not valid TOML"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read(text)
    assert str(caught.value).startswith("allow.toml")
    assert "\n" not in str(caught.value)


def test_errors_name_the_line_of_the_entry() -> None:
    with pytest.raises(UsageError, match=r"allow\.toml line 14: entry 'hoster'"):
        read(WHOLE.replace("203.0.113.0/24", "203.0.113.0/99"))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"
    path.write_bytes(b"\xef\xbb\xbf" + WHOLE.encode())
    writing.end(path, "hoster", TODAY)
    assert entries.load(path).entry("hoster").expires == TODAY


def test_a_missing_file_is_an_empty_allowlist_unless_it_was_named(tmp_path: Path) -> None:
    assert entries.load(tmp_path / "no").entries == ()
    with pytest.raises(UsageError, match="no such file"):
        entries.load(tmp_path / "no", must_exist=True)
    (tmp_path / "bad").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="can't be read"):
        entries.load(tmp_path / "bad")


def test_adding_and_ending_keep_what_people_wrote(tmp_path: Path) -> None:
    path = tmp_path / "d" / "allow.toml"
    new = Entry("new", 'why "so"', "eve", TODAY, None, names=("a.example",))
    writing.add(path, [new])
    assert entries.load(path).entries == (new,)
    path.write_text(WHOLE)
    path.chmod(0o640)
    writing.add(path, [new])
    writing.end(path, "nightly", TODAY)
    text = path.read_text()
    assert "# ours" in text
    assert "# a quarter" in text
    assert path.stat().st_mode & 0o777 == 0o640
    got = entries.load(path).entries
    assert [e.id for e in got] == ["nightly", "hoster", "new"]
    assert not got[0].in_force(TODAY)
    assert got[2] == new


def test_two_who_add_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"

    def add(name: str) -> None:
        for number in range(10):
            writing.add(path, [Entry(f"{name}-{number}", "r", names=("a.example",))])

    with ThreadPoolExecutor() as pool:
        list(pool.map(add, ("ada", "eve")))
    assert len(entries.load(path).entries) == 20


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"
    path.write_text(WHOLE)
    with pytest.raises(UsageError, match="another entry's already"):
        writing.add(path, [Entry("nightly", "r", names=("a.example",))])
    assert path.read_text() == WHOLE


def test_a_file_of_another_form_is_changed_or_told(tmp_path: Path) -> None:
    path = tmp_path / "allow.toml"
    array = 'allow = [{id = "x", reason = "r", expires = "never", names = ["a.example"]}]\n'
    path.write_text(array)
    with pytest.raises(UsageError, match=r"write each entry under \[\[allow\]\]"):
        writing.add(path, [Entry("new", "r", names=("b.example",))])
    assert path.read_text() == array
    writing.end(path, "x", TODAY)
    assert not entries.load(path).entries[0].in_force(TODAY)


def test_an_unknown_id_says_what_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'nightly'"):
        read(WHOLE).entry("nightli")


_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.strip)


@given(reason=_TEXT, author=_TEXT, agent=_TEXT)
def test_an_entry_survives_its_toml_whatever_its_words(reason: str, author: str, agent: str) -> None:
    try:
        prints: tuple[str, ...] = (items.parse_fingerprint(f"user_agent:{agent}"),)
    except ValueError:
        prints = ("ja4:x",)
    made = Entry("x", reason, author, TODAY, TODAY, names=("a.example",), asns=(64500,), fingerprints=prints)
    text = writing.to_toml(made)
    assert read(text).entries == (made,)
    assert all(line.isascii() for line in text.splitlines() if not line.startswith(("reason", "author")))


def test_long_lists_stand_one_below_the_other() -> None:
    made = Entry("x", "r", names=tuple(f"host{i}.example.net" for i in range(9)))
    text = writing.to_toml(made)
    assert '\n    "host3.example.net",\n' in text
    assert read(text).entries[0].names == made.names


def test_the_example_in_the_documents_is_an_allowlist() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/allowlist.md").read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    assert [e.id for e in read(example).entries] == ["nightly-backups", "uploads-to-the-archive"]
    for condition in entries.CONDITIONS:
        assert f"| `{condition}` |" in page
