"""The commands as users run them: exit codes, formats, standard input, damage, kept findings."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hopscope import cli, hunting, store
from hopscope.findings import Finding, Findings
from hopscope.records import CONNECTION_SCHEMA, DNS_QUERY_SCHEMA
from support.findings import finding

HOP = "192.0.2.102"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home of its own, so that no test sees another's findings; what is compiled stays where it is kept."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return tmp_path / "home"


_HUNTS: dict[tuple[str, ...], Findings] = {}


@pytest.fixture(autouse=True)
def hunt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hunt gives the same findings (tests/integration/test_detection.py), so it is run once."""
    hunt = hunting.hunt

    def remembered(captures: Any, **options: Any) -> Findings:
        key = (repr(captures), repr(options.get("config")), repr(options.get("sensor")))
        if key not in _HUNTS:
            _HUNTS[key] = hunt(captures, **options)
        return _HUNTS[key]

    monkeypatch.setattr(hunting, "hunt", remembered)


@pytest.fixture
def beacon(pcaps: Path) -> str:
    """A capture with one hop."""
    return str(pcaps / "socat-beacon.pcap.gz")


@pytest.fixture
def benign(pcaps: Path) -> str:
    """A capture without any."""
    return str(pcaps / "benign.pcap.gz")


@pytest.fixture
def socks(pcaps: Path) -> str:
    """Another capture with one hop; none of its hosts is another one in `benign`."""
    return str(pcaps / "socks-microsocks.pcap.gz")


Out = tuple[int, str, str]


class Run:
    """Runs a command in this process; gives exit code, standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Out:
        self._capsys.readouterr()
        code = cli.run(list(arguments))
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# hunt: exit codes and formats


def test_a_hop_is_found_and_the_exit_code_says_so(run: Run, beacon: str) -> None:
    code, out, err = run("hunt", beacon)
    [found] = lines(out)
    assert code == cli.FOUND
    assert (found["hop"], found["port"]) == (HOP, 443)
    assert "1 finding at medium or above" in err
    assert f"hopscope explain {found['id']}" in err


def test_nothing_found_says_what_was_looked_at(run: Run, benign: str) -> None:
    code, out, err = run("hunt", benign)
    assert (code, out) == (cli.NOTHING, "")
    assert "nothing at medium or above" in err
    assert "1 capture: 4,675 packets" in err


def test_a_terminal_gets_the_page(run: Run, beacon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = run("hunt", beacon)
    assert code == cli.FOUND
    assert f"{HOP}:443/tcp" in out
    assert "why" in out


def test_a_person_who_waits_for_the_first_run_is_told_why(
    run: Run, beacon: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import numba

    assert not hunting.will_compile("zeek")
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert hunting.will_compile("auto")
    monkeypatch.setattr(hunting, "will_compile", lambda _: True)
    assert "compiling" not in run("hunt", beacon)[2]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "compiling the sensor, once for each version" in run("hunt", beacon)[2]


def test_the_page_can_be_had_without_a_terminal(run: Run, beacon: str) -> None:
    code, out, err = run("hunt", beacon, "--format", "table")
    assert (code, err) == (cli.FOUND, "")
    assert "\x1b" not in out
    assert "hopscope explain hop-" in out


@pytest.mark.parametrize(("form", "first"), [("table", "C"), ("jsonl", "{"), (None, "{")])
def test_out_writes_a_file(run: Run, beacon: str, tmp_path: Path, form: str | None, first: str) -> None:
    code, out, _ = run("hunt", beacon, "--out", str(tmp_path / "o"), *(["--format", form] if form else []))
    assert (code, out) == (cli.FOUND, "")
    text = (tmp_path / "o").read_text()
    assert HOP in text
    assert text[0] == first or (form == "table" and text.split()[0] in ("HIGH", "MEDIUM", "CRITICAL"))


def test_severity_hides_but_does_not_drop(run: Run, beacon: str, home: Path) -> None:
    everything = lines(run("hunt", beacon, "--severity", "low")[1])
    kept = store.read(home / ".local/state/hopscope/findings.jsonl")
    assert [f.id for f in kept] == [f["id"] for f in everything]
    shown = lines(run("hunt", beacon)[1])
    assert {f["id"] for f in shown} <= {f["id"] for f in everything}
    assert store.read(home / ".local/state/hopscope/findings.jsonl") == kept


# hunt: input


def test_standard_input_packed_and_plain(beacon: str) -> None:
    packed = Path(beacon).read_bytes()
    ids = []
    for data in (packed, gzip.decompress(packed)):
        done = subprocess.run(
            [sys.executable, "-m", "hopscope", "hunt", "-"], input=data, capture_output=True, timeout=300, check=False
        )
        assert done.returncode == cli.FOUND, done.stderr
        ids.append([f["id"] for f in lines(done.stdout.decode())])
    assert ids[0] == ids[1] != []


def test_a_terminal_is_no_capture(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin.__class__, "isatty", lambda _: True, raising=False)
    code, _, err = run("hunt", "-")
    assert (code, err) == (
        cli.USAGE,
        "hopscope: standard input is a terminal; pipe a capture into hopscope or name a file\n",
    )


def test_several_captures_are_weighed_together(run: Run, socks: str, benign: str, tmp_path: Path) -> None:
    for file in (socks, benign):
        shutil.copy(file, tmp_path)
    outputs = []
    for names in ((socks, benign), (str(tmp_path),), (str(tmp_path / "*.gz"), socks)):
        code, out, err = run("hunt", *names)
        assert code == cli.FOUND
        assert ("2 captures: 9,599 packets" in err) or ("records came twice and were weighed once" in err)
        outputs.append([(f["hop"], f["port"], f["score_db"]) for f in lines(out)])
    # a copy is another file with the same records: they count once, and are told
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "the file is empty"), (b"hello, this is no capture at all", "not a capture"), (None, "no such file")],
)
def test_input_that_can_not_be_read_is_one_line_and_code_3(
    run: Run, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    bad = tmp_path / "bad.pcap"
    if content is not None:
        bad.write_bytes(content)
    code, out, err = run("hunt", str(bad))
    assert (code, out, err.count("\n")) == (cli.INPUT, "", 1)
    assert err.startswith(f"hopscope: {bad}")
    assert problem in err


def test_every_bad_input_gets_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(b"")
    (tmp_path / "b.pcap").write_bytes(b"x" * 100)
    code, _, err = run("hunt", str(tmp_path / "a.pcap"), str(tmp_path / "b.pcap"), str(tmp_path / "c.pcap"))
    assert code == cli.INPUT
    assert [line.split(": ")[1].rsplit("/")[-1][:6] for line in err.splitlines()] == ["a.pcap", "b.pcap", "c.pcap"]


def test_one_bad_input_among_others_is_a_problem_on_the_page(run: Run, beacon: str, tmp_path: Path) -> None:
    (tmp_path / "bad.pcap").write_bytes(b"no")
    code, out, err = run("hunt", str(tmp_path / "bad.pcap"), beacon, "absent.pcap")
    assert (code, len(lines(out))) == (cli.FOUND, 1)
    assert "problem" in err
    assert "bad.pcap" in err
    assert "absent.pcap: no such file" in err
    assert "1 capture:" in err
    assert lines(out)[0]["input"]["problems"] != []


def test_a_cut_capture_counts_up_to_the_cut(run: Run, beacon: str, tmp_path: Path) -> None:
    whole = gzip.decompress(Path(beacon).read_bytes())
    (tmp_path / "cut.pcap").write_bytes(whole[: len(whole) * 9 // 10 + 5])
    code, out, err = run("hunt", str(tmp_path / "cut.pcap"))
    assert code == cli.FOUND
    assert HOP in [f["hop"] for f in lines(out)]
    assert f"{tmp_path / 'cut.pcap'} at byte" in err


def test_names_that_look_like_options_or_code_are_names(run: Run, beacon: str, tmp_path: Path) -> None:
    odd = tmp_path / "-x; touch hacked \x1b[31m.pcap.gz"
    shutil.copy(beacon, odd)
    code, out, err = run("hunt", "--", str(odd))
    assert code == cli.FOUND
    assert not list(tmp_path.rglob("hacked"))
    assert "\x1b" not in out + err


# usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["hunt"], "Missing argument"),
        (["hunt", "x", "--nonsense"], "No such option"),
        (["hunt", "x", "--format", "xml"], "Invalid value"),
        (["hunt", "x", "--severity", "severe"], "Invalid value"),
        (["hunt", "x", "--local-nets", "10.0.0.0/99"], "is not a network"),
        (["hunt", "x", "--config", "absent.toml"], "absent.toml: can't be read"),
        (["hunt", "-", "-"], "named twice"),
        (["hunt", "x", "--findings", "/dev/null"], "not a regular file"),
        (["hunt", "x", "--out", "/proc/nowhere/x"], "can't be written"),
        (["hunt", "x", "--out", "/"], "can't be written"),
        (["nonsense"], "No such command"),
        (["explain"], "Missing argument"),
        (["dissect", "hop-1"], "Missing option"),
        (["\x1b[2J"], r"\x1b[2J"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    run: Run, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin.__class__, "isatty", lambda _: False, raising=False)
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (cli.USAGE, "", 1)
    assert said in err
    assert "\x1b" not in err


def test_unknown_settings_name_their_place(run: Run, beacon: str, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "c.toml").write_text("[fusion]\nprior = -40.0\n")
    code, _, err = run("hunt", beacon, "--config", str(tmp_path / "c.toml"))
    assert code == cli.USAGE
    assert "c.toml line 2: unknown setting 'fusion.prior'; did you mean fusion.prior_db?" in err
    monkeypatch.setenv("HOPSCOPE_WINDOW__DAYS", "3")
    assert "environment HOPSCOPE_WINDOW__DAYS: unknown setting" in run("hunt", beacon)[2]


def test_settings_count_file_below_environment_below_option(
    run: Run, beacon: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.toml").write_text("[fusion]\nprior_db = -90.0\n[network]\nlocal_nets = ['192.168.0.0/16']\n")
    config = ("--config", str(tmp_path / "c.toml"))
    assert run("hunt", beacon, *config)[0] == cli.NOTHING
    monkeypatch.setenv("HOPSCOPE_FUSION__PRIOR_DB", "-40.0")
    assert run("hunt", beacon, *config)[0] == cli.NOTHING  # none of the clients is ours by the file
    assert run("hunt", beacon, *config, "--local-nets", "10.0.0.0/8")[0] == cli.FOUND


def test_networks_that_are_not_ours_are_no_reason_for_silence(run: Run, beacon: str) -> None:
    code, _, said = run("hunt", beacon, "--local-nets", "192.168.0.0/16")
    assert code == cli.NOTHING
    assert "none of our hosts (192.168.0.0/16) talks to the internet here" in " ".join(said.split())
    code, out, said = run("hunt", beacon, "--local-nets", "")
    assert (code, out) == (cli.USAGE, "")
    assert "network.local_nets: is empty" in said


def test_help_and_version(run: Run) -> None:
    assert run("--version")[:2] == (0, f"hopscope, version {cli.__version__}\n")
    for arguments in (["--help"], ["hunt", "-h"]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert cli.EXIT_CODES.replace("\b\n", "").strip() in out.replace("\n  ", "\n").strip()
    code, out, _ = run()
    assert code == cli.USAGE
    assert "Commands:" in out


def test_a_fault_of_ours_is_neither_findings_nor_none(run: Run, beacon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("\x1b[2J")

    monkeypatch.setattr(hunting, "hunt", broken)
    code, _, err = run("hunt", beacon)
    assert code == cli.CRASHED
    assert "a fault in hopscope itself" in err
    assert r"RuntimeError: \x1b[2J" in err


def test_a_reader_that_goes_away_is_no_fault(beacon: str) -> None:
    command = f"{sys.executable} -m hopscope records {beacon} | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (cli.READER_GONE, "")


# the store


def test_findings_are_kept_where_they_are_asked_to_be(run: Run, beacon: str, tmp_path: Path, home: Path) -> None:
    place = tmp_path / "mine" / "f.jsonl"
    code, _, err = run("hunt", beacon, "--findings", str(place))
    assert code == cli.FOUND
    assert str(place) in err
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert not home.exists()
    [kept] = store.read(place)
    assert run("explain", kept.id, "--findings", str(place))[0] == cli.NOTHING


def test_a_home_that_can_not_be_written_does_not_stop_the_hunt(
    run: Run, beacon: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/proc/nowhere")
    code, out, err = run("hunt", beacon)
    assert (code, len(lines(out))) == (cli.FOUND, 1)
    assert "findings won't be kept" in err
    assert "kept in" not in err


# explain and dissect


def test_explain_takes_the_beginning_of_an_id(run: Run, beacon: str) -> None:
    [found] = lines(run("hunt", beacon)[1])
    code, out, err = run("explain", found["id"][:8])
    assert (code, err) == (cli.NOTHING, "")
    assert found["id"] in out
    for piece in found["evidence"]:
        assert piece["heuristic"] in out
    assert "the address answers from" in out
    assert "what it relays to answers from" in out


@pytest.mark.parametrize(
    ("kept", "said"),
    [(None, "run `hopscope hunt CAPTURE` first"), ([], "the last run kept none"), ([finding()], "hunt again")],
)
def test_explain_says_what_to_do_when_there_is_no_such_finding(
    run: Run, tmp_path: Path, kept: list[Finding] | None, said: str
) -> None:
    if kept is not None:
        store.save(tmp_path / "f", kept)
    code, out, err = run("explain", "hop-\x1bnone", "--findings", str(tmp_path / "f"))
    assert (code, out) == (cli.USAGE, "")
    assert said in err
    assert "\x1b" not in err


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_dissect_shows_the_gap(run: Run, beacon: str) -> None:
    [found] = lines(run("hunt", beacon)[1])
    code, out, err = run("dissect", found["id"], "--pcap", beacon)
    assert (code, err) == (cli.NOTHING, "")
    for what in ("SYN\n", "SYN-ACK", "ClientHello", "ServerHello", "longer than the way"):
        assert what in out


def test_dissect_without_tshark_says_what_to_install(run: Run, beacon: str, tmp_path: Path, monkeypatch: Any) -> None:
    store.save(tmp_path / "f", [finding()])
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run("dissect", "hop", "--pcap", beacon, "--findings", str(tmp_path / "f"))
    assert code == cli.USAGE
    assert "apt-get install tshark" in err


# records


def test_records_are_json_lines_of_the_schema(run: Run, beacon: str) -> None:
    code, out, err = run("records", beacon)
    assert (code, err) == (cli.NOTHING, "")
    assert out.isascii()
    told = lines(out)
    assert {r["kind"] for r in told} == {"connection", "dns_query"}
    for record in told:
        schema = CONNECTION_SCHEMA if record["kind"] == "connection" else DNS_QUERY_SCHEMA
        assert list(record) == ["kind", *schema.names]
        assert 1_795_302_000 < record["ts"] < 1_795_304_000
    near = [r for r in told if r["kind"] == "connection" and r["resp_h"] == HOP]
    assert {r["local_orig"] for r in near} == {True}
    assert min(r["tcp_rtt"] for r in near) == pytest.approx(0.0126, abs=0.005)


def test_records_take_the_monitored_networks(run: Run, beacon: str) -> None:
    told = lines(run("records", beacon, "--local-nets", "192.168.0.0/16")[1])
    assert {r["local_orig"] for r in told if r["kind"] == "connection"} == {False}


def test_records_of_what_can_not_be_read(run: Run, beacon: str, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"bad")
    assert run("records", str(tmp_path / "bad"))[:2] == (cli.INPUT, "")
    code, out, err = run("records", str(tmp_path / "bad"), beacon)
    assert (code, out != "") == (cli.NOTHING, True)
    assert err.startswith(f"hopscope: {tmp_path / 'bad'}")


# sensors


def test_zeek_is_asked_for_and_missing(run: Run, beacon: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run("hunt", beacon, "--sensor", "zeek")
    assert code == cli.USAGE
    assert "no zeek on the PATH" in err


@pytest.mark.skipif(shutil.which("zeek") is None, reason="zeek is not installed")
def test_a_hunt_through_zeek(run: Run, pcaps: Path) -> None:
    code, out, _ = run("hunt", str(pcaps / "socks-microsocks.pcap.gz"), "--sensor", "zeek")
    assert code == cli.FOUND
    assert ("203.0.113.102", 1080) in [(f["hop"], f["port"]) for f in lines(out)]


# Python


def test_the_python_way(socks: str, benign: str) -> None:
    import hopscope

    found = hopscope.hunt([socks, Path(benign)], local_nets=["10.0.0.0/8"])
    strong = found.at_least("medium")
    assert [f.hop for f in strong] == ["203.0.113.102"]
    assert isinstance(strong[0], hopscope.Finding)
    assert (strong.input.inputs, strong.input.packets) == (2, 9599)
    with pytest.raises(hopscope.UsageError, match="no severity"):
        found.at_least("severe")
    with pytest.raises(hopscope.InputError, match="no such file"):
        hopscope.hunt("absent.pcap")
    with pytest.raises(hopscope.UsageError, match="no sensor"):
        hopscope.hunt(socks, sensor="tcpdump")


def test_findings_as_a_dataframe(beacon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import hopscope

    found = hopscope.hunt(beacon)
    frame = found.to_dataframe()
    assert list(frame["id"]) == [f.id for f in found]
    assert {"hop", "port", "severity", "score_db", "far_end"} <= set(frame.columns)
    assert list(found[:0].to_dataframe().columns) == list(frame.columns)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(hopscope.UsageError, match=r"pip install 'hopscope\[dataframe\]'"):
        found.to_dataframe()


def test_progress_is_told_up_to_the_end(beacon: str, benign: str) -> None:
    told: list[tuple[int, int | None]] = []
    hunting.hunt([beacon, benign], progress=lambda r: told.append((r.done, r.total)))
    total = os.path.getsize(beacon) + os.path.getsize(benign)
    assert {t for _, t in told} == {total}
    assert [d for d, _ in told] == sorted(d for d, _ in told)
    assert told[-1] == (total, total)
