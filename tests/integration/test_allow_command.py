"""`hopscope allow` and `hopscope findings` as defenders run them: on captures, backwards, and never in silence."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from hopscope import cli, hunting, options, store
from hopscope.findings import Finding, Findings
from support.findings import BARE, FINDING, finding

Out = tuple[int, str, str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home of its own; what is compiled stays where it is kept."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USER", "ada")
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOPSCOPE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def allow_file(home: Path) -> Path:
    return home / ".config/hopscope/allow.toml"


class Run:
    """Runs a command in this process; gives exit code, standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Out:
        self._capsys.readouterr()
        code = cli.run(list(arguments))
        said = self._capsys.readouterr()
        return code, said.out, " ".join(said.err.split())

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self(*arguments)[1].splitlines()]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


_HUNTS: dict[str, Findings] = {}


@pytest.fixture(autouse=True)
def hunt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hunt gives the same findings, so it is run once; what they were weighed from isn't kept."""
    hunt = hunting.hunt

    def remembered(captures: Any, **options: Any) -> Findings:
        if repr(captures) not in _HUNTS:
            _HUNTS[repr(captures)] = hunt(captures, **options | {"keep": None})
        return _HUNTS[repr(captures)]

    monkeypatch.setattr(hunting, "hunt", remembered)


def keep(*findings: Finding) -> None:
    path = Path(os.environ["HOME"]) / ".local/state/hopscope/findings.jsonl"
    store.save(path, findings)


def flat(text: str) -> str:
    """A page's text without its line ends."""
    return " ".join(text.split())


# on captures


def test_a_defender_hides_an_edge_and_lowers_an_upload(run: Run, shared: Path, allow_file: Path) -> None:
    """The story of one capture: a hop that takes stolen files, and an edge that looks like one."""
    capture = str(shared / "captures/haproxy-exfil.pcap.gz")
    hop, edge = run.lines("hunt", capture, "--severity", "low")
    assert (hop["severity"], edge["names"]) == ("critical", ["app.example"])

    code, out, _ = run("allow", "add", "--from", edge["id"], "--reason", "our app's edge")
    assert code == 0
    assert 'names = ["app.example"]' in out
    assert f"1 finding of the last run hidden: {edge['id']}" in out

    # backwards at once, and in the next hunt
    assert [f["id"] for f in run.lines("findings", "--severity", "low")] == [hop["id"]]
    code, out, err = run("hunt", capture, "--severity", "low")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [hop["id"]]
    assert "1 finding hidden by the allowlist (1 low): 1 by our-app-s-edge (our app's edge)" in err
    # the store keeps everything, and every finding can say what hides it
    everything = {f["id"]: f for f in run.lines("findings", "--severity", "low", "--all")}
    assert everything[hop["id"]]["suppression"] is None
    assert "allowlist entry our-app-s-edge: our app's edge (ada, until" in everything[edge["id"]]["suppression"]
    assert "allowlist entry our-app-s-edge" in flat(run("explain", edge["id"])[1])

    # a heuristic that is left out: the finding sinks, and says so
    assert run("allow", "add", "--from", hop["id"], "--heuristic", "byte_ratio", "--reason", "uploads there")[0] == 0
    [lowered] = run.lines("findings")
    assert lowered["severity"] == "high"
    assert lowered["score_db"] == pytest.approx(hop["score_db"] - 8.0, abs=0.2)
    assert "byte_ratio" in lowered["allowance"][0]
    assert "not counted by uploads-there" in flat(run("explain", hop["id"])[1])

    # hidden though critical: told in the hunt and in the list
    assert run("allow", "add", "--from", hop["id"], "--address", "--reason", "a mistake")[0] == 0
    code, out, err = run("hunt", capture)
    assert (code, out) == (0, "")
    assert f"hidden though critical: {hop['id']} 203.0.113.102:443/tcp" in err
    code, out, _ = run("allow", "list", "--format", "table")
    assert code == 1
    assert f"hides 1 critical finding: {hop['id']}" in flat(out)

    # ended: shown again at once
    code, out, _ = run("allow", "expire", "a-mistake")
    assert code == 0
    # uploads-there covers it still, in part
    assert [f["id"] for f in run.lines("findings")] == [hop["id"]]
    assert "a-mistake" in allow_file.read_text()


def test_hunt_and_graph_take_the_allowlist_that_is_named(run: Run, pcaps: Path, tmp_path: Path) -> None:
    capture = str(pcaps / "socat-beacon.pcap.gz")
    [hop] = run.lines("hunt", capture)
    mine = str(tmp_path / "mine.toml")
    assert run("allow", "add", "--from", hop["id"], "--reason", "ours", "--allow", mine)[0] == 0
    assert run("hunt", capture)[0] == 1
    assert run("hunt", capture, "--allow", mine)[0] == 0
    code, out, err = run("graph", capture, "--format", "json", "--allow", mine)
    assert (code, hop["hop"] in out) == (0, False)
    assert "1 finding hidden by the allowlist" in err
    assert hop["hop"] in run("graph", capture, "--format", "json")[1]
    assert run("hunt", capture, "--allow", str(tmp_path / "no.toml"))[0] == 2
    assert run("allow", "expire", "ours", "--allow", mine)[0] == 0
    assert run("hunt", capture, "--allow", mine)[0] == 1


# add


def test_add_takes_what_a_finding_has_and_what_is_given(run: Run, allow_file: Path) -> None:
    keep(FINDING)
    command = shlex.split("allow add --from hop-3fa --address --clients --reason 'r' --id one --author eve")
    assert run(*command, "--expires", "2099-01-01")[0] == 0
    text = allow_file.read_text()
    assert 'addresses = ["192.0.2.102:443/tcp"]' in text
    assert 'clients = ["10.0.0.11", "10.0.0.12"]' in text
    assert "expires = 2099-01-01" in text
    assert 'author = "eve"' in text
    assert run("allow", "add", "--name", ".Example.com", "--name", "example.com", "--client", "10.0.0.0/8",
               "--asn", "AS64500", "--network", "203.0.113.0/24", "--fingerprint", "ja4:x", "--address",
               "203.0.113.9:443", "--heuristic", "cadence", "--reason", "all", "--expires", "never"
               )[0] == 0  # fmt: skip
    two = run.lines("allow", "list")[1]
    assert two["names"] == [".example.com", "example.com"]
    assert (two["expires"], two["author"], two["findings"]) == (None, "ada", [])
    assert {"clients", "asns", "networks", "fingerprints", "addresses", "heuristics"} <= two.keys()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("allow add --reason r", "would hide everything"),
        ("allow add --name a.example", "Missing option '--reason'"),
        ("allow add --name a.example --reason ' '", "the reason is empty"),
        ("allow add --names --reason r", "name one with --from"),
        ("allow add --from hop-none --reason r", "no finding 'hop-none'"),
        ("allow add --network 0.0.0.0/0 --reason r", "every address there is"),
        ("allow add --name *.com --reason r", "every name under .com"),
        ("allow add --client backup --address 203.0.113.9 --reason r", "neither a network of ours nor a group"),
        ("allow add --heuristic path_gpa --reason r", "did you mean 'path_gap'"),
        ("allow add --name a.example --reason r --expires soon", "neither days (90d) nor a date"),
        ("allow add --name a.example --reason r --expires 2020-01-01", "is over already"),
        ("allow add --name a.example --reason r --expires 0d", "is over already"),
        ("allow add --name a.example --reason r --id 'a b'", "must be letters"),
        ("allow add --from hop-3fa --names --reason r", "was only asked for (SNI or HTTP host)"),
        ("allow add --from hop-3fa --address 203.0.113.1 --reason r", "wouldn't cover hop-3fa9c21b7d"),
        ("allow add --from hop-3fa --heuristic cadence --reason r", "cadence says nothing for it"),
        ("allow add --name a.example --reason r --allow none", "names no allowlist"),
        ("allow expire nothing", "no allowlist entry 'nothing'"),
        ("allow test '?'", "no finding '?'"),
        ("allow import /nowhere --reason r --expires 9d", "can't be read"),
        ("allow import x --reason r", "Missing option '--expires'"),
        ("allow export nothing", "no allowlist entry"),
        ("findings --allow /nowhere", "no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(run: Run, allow_file: Path, command: str, said: str) -> None:
    keep(FINDING)
    code, out, err = run(*shlex.split(command))
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("hopscope: ")
    assert not allow_file.exists()


def test_a_broken_allowlist_stops_every_command_with_its_place(run: Run, allow_file: Path, pcaps: Path) -> None:
    keep(FINDING)
    allow_file.parent.mkdir(parents=True)
    allow_file.write_text('[[allow]]\nid = "x"\nexpires = "never"\nnames = ["a.example"]\n')
    for command in (
        ["findings"],
        ["hunt", str(pcaps / "socat-beacon.pcap.gz")],
        ["allow", "list"],
        ["allow", "test", "x.y"],
    ):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert "allow.toml line 1: entry 'x': has no text in `reason`" in err


def test_adding_without_a_run_needs_no_findings(run: Run) -> None:
    code, out, err = run("allow", "add", "--name", "a.example", "--reason", "r")
    assert (code, err) == (0, "")
    assert "0 findings of the last run hidden" in out


# findings


def test_findings_lists_what_is_kept(run: Run) -> None:
    keep(finding("high", 12.0), finding("low", -5.0, id="hop-low", hop="203.0.113.5"))
    code, out, err = run("findings")
    assert code == 1
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["hop-3fa9c21b7d"]
    assert "1 finding at medium or above (1 low below that" in err
    code, out, err = run("findings", "--severity", "low", "--format", "table")
    assert (code, err) == (1, "")
    assert "HIGH" in out
    assert "hop-low" in out
    assert run("findings", "--severity", "critical")[:2] == (0, "")


def test_findings_without_a_run_say_what_to_do(run: Run) -> None:
    code, _, err = run("findings")
    assert code == 2
    assert "run `hopscope hunt CAPTURE` first" in err


def test_hostile_words_reach_no_terminal(run: Run) -> None:
    evil = "x\x1b[2J\u202e[bold]"
    keep(finding("high", 12.0, names=(evil,), dns_names=(evil,)))
    assert run("allow", "add", "--from", "hop-3fa", "--reason", evil)[0] == 0
    for command in ("allow list --format table", "allow list", "findings --all --format table", "findings --all",
                    "allow test hop-3fa", "allow export --format zeek-intel"):  # fmt: skip
        _, out, err = run(*command.split())
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err


# list, test


def test_list_points_at_entries_that_are_of_no_use_any_more(run: Run, allow_file: Path) -> None:
    keep(FINDING)
    allow_file.parent.mkdir(parents=True)
    allow_file.write_text(
        '[[allow]]\nid = "old"\nreason = "r"\nadded = 2020-01-01\nexpires = "never"\nnames = ["a.example"]\n'
        '[[allow]]\nid = "gone"\nreason = "r"\nexpires = 2020-02-01\nnames = ["a.example"]\n'
    )
    old, gone = run.lines("allow", "list")
    assert "matched nothing for" in old["warnings"][0]
    assert "expired on 2020-02-01" in gone["warnings"][0]
    code, out, _ = run("allow", "list", "--format", "table")
    assert code == 1
    assert "2 allowlist entries" in out
    allow_file.write_text("")
    code, out, _ = run("allow", "list", "--format", "table")
    assert (code, "no allowlist entries" in out) == (0, True)


def test_test_says_which_entries_hide_it_and_why_others_do_not(run: Run, allow_file: Path) -> None:
    keep(FINDING, BARE)
    allow_file.parent.mkdir(parents=True)
    allow_file.write_text("".join(
        f'[[allow]]\nid = "{i}"\nreason = "r"\nexpires = {until}\n{lines}\n'
        for i, until, lines in (
            ("here", '"never"', 'addresses = ["192.0.2.102:443"]'),
            ("sni", '"never"', 'names = ["sync.cover.example"]'),
            ("few", '"never"', 'networks = ["192.0.2.0/24"]\nclients = ["10.0.0.11"]'),
            ("over", "2020-01-01", 'addresses = ["192.0.2.102"]'),
            ("gap", '"never"', 'addresses = ["192.0.2.102"]\nheuristics = ["path_gap"]'),
        )
    ))  # fmt: skip
    code, out, _ = run("allow", "test", "hop-3fa")
    said = flat(out)
    assert code == 0
    assert "hidden by allowlist entry here" in said
    assert "lowered by allowlist entry gap" in said
    assert "sni: sync.cover.example was only asked for" in said
    assert "few: it covers 1 of its 2 clients" in said
    assert "over would, but expired on 2020-01-01" in said
    # the same by address and by name
    assert run("allow", "test", "192.0.2.102:443")[1] == out
    assert run("allow", "test", "192.0.2.102")[1] == out
    assert run("allow", "test", "Sync.cover.example.")[1] == out
    # what no finding is about
    code, out, _ = run("allow", "test", "192.0.2.7")
    assert code == 1
    assert "perhaps few: holds where all clients are in 10.0.0.11" in flat(out)
    code, out, _ = run("allow", "test", "www.example.com")
    assert code == 1
    assert "no entry hides it" in out


def test_test_says_that_what_entries_leave_of_it_is_too_little(run: Run, allow_file: Path) -> None:
    keep(finding("medium", 5.0))
    assert run("allow", "add", "--from", "hop-3fa", "--address", "--heuristic", "unnamed", "--reason", "r")[0] == 0
    code, out, _ = run("allow", "test", "hop-3fa")
    assert code == 1
    assert "lowered by allowlist entry r" in flat(out)
    assert "no entry hides it" in out
    assert run("allow", "add", "--from", "hop-3fa", "--address", "--heuristic", "path_gap", "--reason", "g")[0] == 0
    assert run("findings")[0] == 0
    code, out, _ = run("allow", "test", "hop-3fa")
    assert code == 0
    assert "less than low" in flat(out)
    assert "no entry hides it" not in out


def test_what_is_written_is_told_though_findings_cannot_be_read(run: Run, allow_file: Path) -> None:
    keep(FINDING)
    options.kept(None).write_text("torn")
    code, out, err = run("allow", "add", "--network", "203.0.113.0/24", "--reason", "r")
    assert code == 2
    assert "written to" in out
    assert "not a finding" in err


# exchange


def test_import_and_export(run: Run, tmp_path: Path, allow_file: Path) -> None:
    keep(BARE)
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("203.0.113.9 # ours\nexample.com\n!\n")
    code, out, _ = run("allow", "import", str(theirs), "--reason", "from the provider", "--expires", "30d")
    assert code == 0
    assert "1 addresses" in out
    assert "1 left out (nothing that an entry can name): !" in out
    assert "1 finding of the last run hidden: hop-1" in out
    assert 'reason = "from the provider (from ' in allow_file.read_text()
    for form, said in (("list", "203.0.113.9"), ("zeek-intel", "203.0.113.9\tIntel::ADDR"), ("misp", '"203.0.113.9"')):
        target = tmp_path / form
        code, out, err = run("allow", "export", "--format", form, "--out", str(target))
        assert target.stat().st_mode & 0o777 == 0o644  # others read it
        assert (code, out) == (0, "")
        assert said in target.read_text()
        assert ("left out" in err) == (form == "misp")
        again = tmp_path / f"{form}.toml"
        assert run("allow", "import", str(target), "--reason", "r", "--expires", "9d", "--allow", str(again))[0] == 0
        assert run("findings", "--allow", str(again))[0] == 0
    first = run.lines("allow", "list")[0]["id"]
    assert run("allow", "expire", first)[0] == 0
    assert "203.0.113.9" not in run("allow", "export")[1]
    assert run("allow", "expire", first)[0] == 2


def test_help_says_what_the_exit_codes_are(run: Run) -> None:
    for command in ("add", "list", "test", "expire", "import", "export"):
        code, out, _ = run("allow", command, "--help")
        assert code == 0
        assert "Exit codes:" in out
    assert "all its clients" in flat(run("allow", "--help")[1])
