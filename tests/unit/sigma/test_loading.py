"""Rules from files: which are applied to what, and why each other can't be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hopscope import sigma
from hopscope.errors import UsageError
from hopscope.records import Batch
from hopscope.sigma import reading
from hopscope.sigma.refusing import Cause
from hopscope.sigma.rules import Rule, Unsupported
from support import sigma_cases

SYSMON = {"product": "windows", "category": "network_connection"}
SECURITY = {"product": "windows", "service": "security"}
DETECTION = {"sel": {"DestinationHostname|endswith": ".example"}, "condition": "sel"}


def one(detection: Any, logsource: Any = SYSMON, **more: Any) -> Rule | Unsupported:
    """A rule of one file."""
    document = {"title": "A Rule", "logsource": logsource, "detection": detection, **more}
    [told] = reading.of_text(yaml.safe_dump(document).encode(), "a.yml")
    return told


def refused(detection: Any, logsource: Any = SYSMON, **more: Any) -> Unsupported:
    """A rule that can't be applied."""
    told = one(detection, logsource, **more)
    assert isinstance(told, Unsupported)
    return told


def searching(search: Any, condition: str = "sel") -> dict[str, Any]:
    """A detection of one search."""
    return {"sel": search, "condition": condition}


def test_what_a_rule_says_of_itself() -> None:
    told = one(DETECTION, id="6f41db25-2af3-4d4c-9b1b-4ad5a2e3c1d4", level="high", tags=["attack.T1090.002"])
    assert isinstance(told, Rule)
    assert (told.id, told.title) == ("6f41db25-2af3-4d4c-9b1b-4ad5a2e3c1d4", "A Rule")
    assert (told.level, told.tags, told.place) == ("high", ("attack.t1090.002",), "a.yml")
    assert told.kinds == ("host_event", "connection")


def test_a_rule_without_id_and_level() -> None:
    told = one(DETECTION)
    assert isinstance(told, Rule)
    assert (told.id, told.level, told.tags) == ("A Rule", "medium", ())


@pytest.mark.parametrize(
    ("logsource", "search", "kinds"),
    [
        (SYSMON, {"DestinationPort": 22}, ("host_event", "connection")),
        (SYSMON, {"Image|endswith": "x", "DestinationPort": 22}, ("host_event",)),
        ({"product": "linux", "category": "network_connection"}, {"DestinationPort": 22}, ("connection",)),
        ({"category": "network_connection"}, {"DestinationPort": 22}, ("host_event", "connection")),
        ({"product": "windows", "category": "dns_query"}, {"QueryName": "a.b"}, ("host_event", "dns_query")),
        ({"product": "windows", "category": "dns_query"}, {"QueryName": "a.b", "Image": "x"}, ("host_event",)),
        ({"category": "dns"}, {"query": "a.b"}, ("dns_query",)),
        ({"category": "firewall"}, {"dst_port": 1}, ("host_event", "connection")),
        ({"category": "proxy"}, {"cs-host": "a.b"}, ("connection",)),
        ({"product": "zeek", "service": "conn"}, {"id.resp_p": 1}, ("connection",)),
        ({"product": "zeek", "service": "ssl"}, {"server_name": "a.b"}, ("connection",)),
        ({"product": "zeek", "service": "http"}, {"host": "a.b"}, ("connection",)),
        ({"product": "zeek", "service": "dns"}, {"query": "a.b"}, ("dns_query",)),
        (SECURITY, {"EventID": 5156, "DestPort": 22}, ("host_event",)),
        (SECURITY, {"EventID": [4624, 5157], "DestinationPort": 22}, ("host_event",)),
        ({"product": "windows", "service": "sysmon"}, {"EventID": 22, "QueryName": "a.b"}, ("host_event",)),
    ],
)
def test_records_that_a_rule_is_applied_to(logsource: Any, search: Any, kinds: tuple[str, ...]) -> None:
    told = one(searching(search), logsource)
    assert isinstance(told, Rule), told
    assert told.kinds == kinds


@pytest.mark.parametrize(
    ("logsource", "search", "cause", "reason"),
    [
        ({"product": "windows", "category": "process_creation"}, {"Image": "x"}, Cause.SOURCE, "process_creation"),
        ({"product": "zeek", "service": "smb_files"}, {"name": "x"}, Cause.SOURCE, "smb_files"),
        (SECURITY, {"EventID": 4624, "Foo": 1}, Cause.EVENT, "security events 4624; 5156 and 5157 are read"),
        ({"product": "windows", "service": "sysmon"}, {"EventID": [1, 11]}, Cause.EVENT, "sysmon events 1, 11"),
        (SYSMON, {"CommandLine": "x", "Image": "y"}, Cause.FIELD, "host events have no CommandLine"),
        (SYSMON, {"dst_h": "10.0.0.1"}, Cause.FIELD, "no dst_h"),  # a column's name is no field of a rule
        (SYSMON, {"record.dst_h": "10.0.0.1"}, Cause.FIELD, "no record.dst_h"),
        (SYSMON, {"Image|fieldref": "CommandLine"}, Cause.FIELD, "no CommandLine"),
        (SYSMON, ["evil", "words"], Cause.KEYWORDS, "words"),
        (SYSMON, {"|all": ["evil", "words"]}, Cause.KEYWORDS, "words"),
        (SYSMON, {"DestinationIp|expand": "%legit_ips%"}, Cause.PLACEHOLDERS, "%legit_ips%"),
        (SYSMON, {"Image|re": r"a(?=b)"}, Cause.REGEX, "RE2"),
        (SYSMON, {"Image|re": r"(a)\1"}, Cause.REGEX, "RE2"),
        (SYSMON, {"Image|re": r"(unclosed"}, Cause.REGEX, "(unclosed"),
        (SYSMON, {"Image|cidr": "10.0.0.0/8"}, Cause.MODIFIER, "cidr on process"),
        (SYSMON, {"DestinationIp|cidr": "10.0.0.1/8"}, Cause.INVALID, "host bits"),
        (SYSMON, {"Image|gt": 5}, Cause.MODIFIER, "process, which is text"),
        (SYSMON, {"DestinationPort|hour": 5}, Cause.MODIFIER, "parts of times"),
        (SYSMON, {"Image|nonsense": "x"}, Cause.INVALID, "nonsense"),
        ({"category": "dns"}, {"query|fieldref": "answer"}, Cause.MODIFIER, "several values"),
    ],
)
def test_why_a_rule_is_not_applied(
    logsource: Any, search: Any, cause: Cause, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    told = refused(searching(search), logsource)
    assert (told.place, told.title, told.cause) == ("a.yml", "A Rule", cause)
    assert reason in told.reason
    assert "\n" not in told.reason
    assert capfd.readouterr() == ("", "")  # RE2 would write there


def test_aggregations_correlations_filters_and_collections_are_named() -> None:
    assert refused(searching({"DestinationPort": 1}, "sel | count() > 5")).cause is Cause.CONDITION
    assert refused(DETECTION, correlation={"type": "event_count"}).cause is Cause.COLLECTION
    assert refused(DETECTION, filter={"rules": ["a"]}).cause is Cause.COLLECTION
    documents = [{"action": "global", "title": "All", "logsource": SYSMON}, {"detection": DETECTION}]
    told = list(reading.of_text(yaml.safe_dump_all(documents).encode(), "a.yml"))
    assert [t.cause for t in told if isinstance(t, Unsupported)] == [Cause.COLLECTION] * 2


@pytest.mark.parametrize("missing", ["title", "logsource", "condition"])
def test_a_rule_that_is_not_whole_is_named(missing: str) -> None:
    document: dict[str, Any] = {"title": "A Rule", "logsource": dict(SYSMON), "detection": dict(DETECTION)}
    (document["detection"] if missing == "condition" else document).pop(missing)
    [told] = reading.of_text(yaml.safe_dump(document).encode(), "a.yml")
    assert isinstance(told, Unsupported)
    assert told.cause is Cause.INVALID


def test_broken_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "broken.yml", "title: x\ndetection:\n  sel: [1, 2\n")
    write(tmp_path / "good.yml", rule())
    told = sigma.load([tmp_path], shipped=False)
    [broken] = told.unsupported
    assert broken.place.endswith("broken.yml")
    assert "at line 4" in broken.reason
    assert [r.title for r in told.rules] == ["A Rule"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\x00detection", b"detection: \x07", b"? [a]\n: b\n", b"date: 2024-99-99\ndetection: {}\n",
        b"a: &a [*a]\ndetection: *a", b"[" * 100_000, b"detection: {sel: " + b"[" * 3000,
    ],
)  # fmt: skip
def test_hostile_yaml_is_named_or_passed_over(text: bytes) -> None:
    for told in reading.of_text(text, "a.yml"):
        assert isinstance(told, Unsupported)


def test_many_aliases_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    text = "\n".join([*lines, "title: x", "logsource: {category: dns}", "detection: {sel: *a11, condition: sel}"])
    [told] = reading.of_text(text.encode(), "a.yml")
    assert isinstance(told, Unsupported)


KEYS = st.sampled_from(["query", "query|re", "query|contains|all", "|all", "answer|cidr", "x"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def test_a_title_that_is_no_text_is_not_written_out() -> None:
    nested = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40))
    text = (
        f"a0: &a0 x\n{nested}\ntitle: *a39\nlogsource: {{category: dns}}\ndetection: {{s: {{query: x}}, condition: s}}"
    )
    [told] = reading.of_text(text.encode(), "a.yml")
    assert isinstance(told, Unsupported)
    assert told.title == ""


@pytest.mark.parametrize("modifiers", ["base64|" * 60 + "contains", "base64offset|" * 40 + "contains", "wide|" * 60])
def test_modifiers_upon_modifiers_are_refused(modifiers: str) -> None:
    told = refused(searching([{"Image|" + modifiers.rstrip("|"): "abc"}]))
    assert "more than 8 modifiers" in told.reason


def test_detections_that_begin_with_an_underscore() -> None:
    own = {"_mine": {"Image|endswith": r"\a.exe"}, "condition": "_mine"}
    assert isinstance(one(own), Rule)
    assert "underscore" in refused(own | {"condition": "1 of _*"}).reason, "those that restrict it to its log source"
    assert "_sysmon_connection_only" in refused({"_sysmon_connection_only": {"Image": "x"}, **own}).reason


@settings(max_examples=200, deadline=None)
@given(plain, st.just("sel") | st.text(alphabet="sel_*1ofandnotr() |", max_size=30), st.none() | plain)
def test_no_rule_stops_the_others_from_being_loaded_and_what_is_loaded_is_evaluated(
    search: Any, condition: str, level: Any
) -> None:
    document = {"title": "A Rule", "logsource": {"category": "dns"}, "level": level}
    document["detection"] = {"sel": search, "condition": condition}
    [told] = reading.of_text(yaml.safe_dump(document).encode(), "a.yml")
    if isinstance(told, Rule):
        matcher = sigma.Matcher(sigma.Rules((told,)))
        matcher.add(Batch(dns_queries=sigma_cases.records("dns_query", 5, random.Random(1))))
        assert set(matcher.matches()["title"].to_pylist()) <= {"A Rule"}


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_it(text: bytes) -> None:
    list(reading.of_text(text, "a.yml"))


def write(path: Path, text: str) -> None:
    """A file with that text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def rule(**more: Any) -> str:
    """The text of a rule."""
    return yaml.safe_dump({"title": "A Rule", "logsource": SYSMON, "detection": DETECTION, **more})


def test_a_directory_is_read_with_what_is_below_it_and_other_yaml_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "b" / "two.yaml", rule(title="Two"))
    write(tmp_path / "a.yml", rule(title="One"))
    write(tmp_path / "ci.yml", "jobs: {}\n")
    write(tmp_path / "notes.txt", "detection: [")
    told = sigma.load([tmp_path], shipped=False)
    assert [r.title for r in told.rules] == ["One", "Two"]
    assert told.unsupported == ()


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a.yml", rule())
    told = sigma.load([tmp_path, tmp_path / "a.yml"], shipped=False)
    assert (len(told.rules), told.unsupported) == (1, ())


def test_a_rule_with_another_s_id_is_named(tmp_path: Path) -> None:
    same = "6f41db25-2af3-4d4c-9b1b-4ad5a2e3c1d4"
    write(tmp_path / "a.yml", rule(id=same))
    write(tmp_path / "b.yml", rule(id=same, title="Other"))
    [other] = sigma.load([tmp_path], shipped=False).unsupported
    assert (other.title, other.cause) == ("Other", Cause.DUPLICATE)
    assert "a.yml" in other.reason


def test_paths_that_are_not_there_or_hold_no_rule(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        sigma.load([tmp_path / "nowhere"])
    write(tmp_path / "ci.yml", "jobs: {}\n")
    for path in (tmp_path, tmp_path / "ci.yml"):
        with pytest.raises(UsageError, match="holds no Sigma rule"):
            sigma.load([path])


def test_a_file_too_large_for_a_rule_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.yml", rule() + "#" * (1 << 20))
    [told] = sigma.load([tmp_path], shipped=False).unsupported
    assert "larger than 1 MB" in told.reason


def test_disabled_rules_are_left_out_by_id_and_title(tmp_path: Path) -> None:
    some = sigma.load([]).rules
    left = sigma.load([], disabled=[some[0].id.upper(), some[1].title.lower()])
    assert left.rules == some[2:]
    assert sigma.load([], shipped=False).rules == ()


def test_a_run_tells_how_many_and_names_those_nearest_to_being_applied_first(tmp_path: Path) -> None:
    for n in range(3):
        other = {"product": "windows", "category": "process_creation"}
        write(tmp_path / f"{n}.yml", rule(title=f"Elsewhere {n}", logsource=other))
    write(tmp_path / "x.yml", rule(title="Near", detection=searching({"CommandLine": "x"})))
    write(tmp_path / "y.yml", rule(title="Good"))
    lines = sigma.load([tmp_path], shipped=False).lines(2)
    assert lines[0] == "sigma: 1 rule applied, 4 unsupported (log source 3, fields 1)"
    assert lines[1].startswith("sigma: x.yml: Near: "), "as seen from the directory that was named"
    assert [("Near" in line, "Elsewhere 0" in line) for line in lines[1:3]] == [(True, False), (False, True)]
    assert lines[3:] == [f"sigma: and 2 more: hopscope sigma check {tmp_path} names them"]
