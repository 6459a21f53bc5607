"""`hopscope export` as defenders run it: on a kept hunt, with allowlist and labels, and never in silence."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hopscope import cli, options, places, store
from hopscope.exporting import FORMATS
from hopscope.findings import Entity, Finding
from hopscope.outputs import nftables
from support import kept_hunt
from support.blocklists import nft
from support.kept_hunt import Run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the kept hunt found from high up, in a home of its own, on the day after the captures were made."""
    kept = kept_hunt.home(tmp_path, monkeypatch)
    monkeypatch.setattr(options, "now", lambda: NOW)
    return [f for f in store.read(kept) if f.severity in ("high", "critical")]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def kept() -> Path:
    return places.findings_file(os.environ)


def change(**changes: object) -> None:
    """Change the first finding of the store."""
    first, *others = store.read(kept())
    store.save(kept(), [dataclasses.replace(first, **changes), *others])  # type: ignore[arg-type]


def listed(out: str) -> list[str]:
    """The places of a plain list."""
    return [line.partition(" # ")[0] for line in out.splitlines() if not line.startswith("#")]


def text(finding: Finding) -> str:
    return finding.hop if finding.port is None else finding.entity.value


def test_the_hops_of_the_last_run_are_listed_and_nothing_else(run: Run, findings: list[Finding]) -> None:
    code, out, err = run("export", "plain")
    assert code == cli.NOTHING
    assert findings
    assert sorted(listed(out)) == sorted(text(f) for f in findings)
    assert f"{len(findings)} lines listed, 0 not" in err


def test_every_format_has_the_same_hops_with_id_severity_and_expiry(run: Run, findings: list[Finding]) -> None:
    for form in FORMATS:
        _, out, _ = run("export", form)
        for f in findings:
            [line] = [line for line in out.splitlines() if f.id in line]
            assert f.hop in line
            assert f.severity in line
            assert re.search(r"until 2026-11-2[89]T\d\d:\d\d:\d\dZ", line)


@pytest.mark.parametrize("chains", [(), ("--chains",)])
def test_nft_takes_the_export(run: Run, chains: tuple[str, ...]) -> None:
    _, out, _ = run("export", "nftables", "--severity", "info", *chains)
    assert ("hook forward" in re.sub("(?m)^#.*", "", out)) == bool(chains)
    nft(out)


def test_own_networks_of_the_hunt_and_of_now(run: Run, findings: list[Finding]) -> None:
    relay = findings[0]
    code, out, err = run("export", "plain", "--local-nets", f"{relay.hop}/32")
    assert code == cli.NOTHING
    assert text(relay) not in listed(out)
    assert f"not listed: {relay.id}" in err
    assert f"own network {relay.hop}/32" in err
    inside = dataclasses.replace(relay, hop="10.0.0.80", entity=Entity("address", "10.0.0.80"), port=None, proto=None)
    store.save(kept(), [inside])
    # 10.0.0.0/8 was an own network when the hunt was made
    assert "own network 10.0.0.0/8" in run("export", "plain", "--local-nets", "192.0.2.0/24")[2]


def test_resolvers_of_the_records(run: Run) -> None:
    change(hop="203.0.113.53", entity=Entity("address", "203.0.113.53"), port=None, proto=None, severity="critical")
    code, out, err = run("export", "plain")
    assert code == cli.NOTHING
    assert "203.0.113.53" not in listed(out)
    assert "resolver 203.0.113.53: it answers DNS queries of the records" in err


def test_own_proxies(run: Run, findings: list[Finding], tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[vantage]\nown_proxies = ["{findings[0].hop}"]\n')
    assert f"own proxy {findings[0].hop}" in run("export", "plain", "--config", str(settings))[2]
    settings.write_text('[vantage]\nown_proxies = ["proxy.example"]\n')
    code, out, err = run("export", "plain", "--config", str(settings))
    assert (code, out) == (cli.USAGE, "")
    assert "vantage.own_proxies" in err


def test_what_the_allowlist_hides_or_lowers(run: Run, findings: list[Finding], tmp_path: Path) -> None:
    first = findings[0]
    allow = tmp_path / "allow.toml"
    entry = '[[allow]]\nid = "known"\nreason = "looked at"\nexpires = 2026-12-01\n'
    allow.write_text(f'{entry}networks = ["{first.hop}/32"]\n')
    _, out, err = run("export", "plain", "--allow", str(allow))
    assert text(first) not in listed(out)
    assert re.search(rf"not listed: {first.id} .*allowlist entry known: looked at \(until 2026-12-01\)", err)
    weak = min((e for e in first.evidence if e.decibans > 0), key=lambda e: e.decibans)
    allow.write_text(f'{entry}networks = ["{first.hop}/32"]\nheuristics = ["{weak.heuristic}"]\n')
    _, out, err = run("export", "plain", "--allow", str(allow))
    assert text(first) not in listed(out)
    assert "counts for less" in err
    allow.write_text(f'{entry.replace("2026-12-01", "2026-11-22")}networks = ["{first.hop}/32"]\n')
    _, out, err = run("export", "plain", "--allow", str(allow))
    assert text(first) in listed(out)
    assert "known expired on 2026-11-22" in err


def test_a_whole_address_is_not_listed_over_an_allowed_port(run: Run, findings: list[Finding], tmp_path: Path) -> None:
    first = findings[0]
    change(entity=Entity("address", first.hop), port=None, proto=None, severity="critical")
    allow = tmp_path / "allow.toml"
    allow.write_text(f'[[allow]]\nid = "bank"\nreason = "r"\nexpires = "never"\naddresses = ["{first.hop}:993/tcp"]\n')
    _, out, err = run("export", "plain", "--allow", str(allow))
    assert first.hop not in listed(out)
    assert "allowlist entry bank" in err


def test_what_is_labelled_benign(run: Run, findings: list[Finding]) -> None:
    first = findings[0]
    assert run("label", first.id, "benign", "--note", "backup")[0] == cli.NOTHING
    _, out, err = run("export", "plain")
    assert text(first) not in listed(out)
    assert f"{first.id}" in err
    assert "benign: backup (ana" in err


def test_never(run: Run, findings: list[Finding], tmp_path: Path) -> None:
    first = findings[0]
    (tmp_path / "never.txt").write_text(f"# partners\n{first.hop}\n")
    _, out, err = run("export", "plain", "--never", str(tmp_path / "never.txt"), "--never", "198.18.0.0/15")
    assert text(first) not in listed(out)
    assert "never.txt line 2" in err
    (tmp_path / "never.txt").write_text("partners\n")
    code, out, err = run("export", "plain", "--never", str(tmp_path / "never.txt"))
    assert (code, out) == (cli.USAGE, "")
    assert "never.txt line 1" in err


def test_shared_addresses(run: Run, findings: list[Finding]) -> None:
    shared, *others = findings
    names = places.run_of(kept()) / "window" / "names.parquet"
    table = pq.read_table(names)
    led = [{**table.slice(0, 1).to_pylist()[0], "name": f"n{i}.example", "address": shared.hop} for i in range(21)]
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist(led, schema=table.schema)]), names)
    _, out, err = run("export", "plain")
    assert sorted(listed(out)) == sorted(text(f) for f in others)
    assert f"not listed: {shared.id}" in err
    assert "21 names lead there, more than --shared 20" in err
    assert len(listed(run("export", "plain", "--shared", "21")[1])) == len(findings)
    assert run("export", "plain", "--shared", "0")[0] == cli.USAGE


@pytest.mark.parametrize("lost", ["gone", "another"])
def test_without_what_was_weighed_nothing_is_listed_unless_told(run: Run, lost: str, tmp_path: Path) -> None:
    if lost == "gone":
        places.run_of(kept()).rename(tmp_path / "elsewhere")
    else:
        change(input={"packets": 1})
    out_file = tmp_path / "hops.txt"
    out_file.write_text("as it was\n")
    code, out, err = run("export", "plain", "--out", str(out_file))
    assert (code, out) == (cli.USAGE, "")
    assert "--without-run" in err
    assert out_file.read_text() == "as it was\n"
    code, out, err = run("export", "plain", "--without-run")
    assert code == cli.NOTHING
    assert listed(out)
    assert "without the kept run not all resolvers are known" in err


def test_expired_hops_are_told_and_taken_off_the_list(run: Run, findings: list[Finding]) -> None:
    code, out, err = run("export", "nftables", "--expires", "1h")
    assert code == cli.NOTHING
    assert "add element" not in out
    assert "flush set inet hopscope addresses4" in out
    assert err.count("expired: last seen 2026-11-21") == len(findings)
    assert "2026-11-30 00:00 UTC" in run("export", "plain", "--expires", "2026-11-30")[1]


def test_out_is_written_in_one_step_for_others_to_read(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hops.nft"
    code, out, _ = run("export", "nftables", "--out", str(file))
    assert (code, out) == (cli.NOTHING, "")
    assert file.read_text() == run("export", "nftables")[1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [p.name for p in tmp_path.iterdir() if "hops" in p.name] == ["hops.nft"]
    assert run("export", "nftables", "--out", str(tmp_path))[0] == cli.USAGE


def test_intel_lists_a_name_and_firewalls_its_address_where_it_is_alone(run: Run) -> None:
    change(entity=Entity("name", "app.example"), hop="198.51.100.112", port=443, proto="tcp", severity="critical")
    assert "app.example\tIntel::DOMAIN\thopscope\t" in run("export", "zeek-intel")[1]
    assert "198.51.100.112:443/tcp" in listed(run("export", "plain")[1])
    names = places.run_of(kept()) / "window" / "names.parquet"
    table = pq.read_table(names)
    beside = {**table.slice(0, 1).to_pylist()[0], "name": "shop.example", "address": "198.51.100.112"}
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist([beside], schema=table.schema)]), names)
    assert "app.example\tIntel::DOMAIN\thopscope\t" in run("export", "zeek-intel")[1]
    _, out, err = run("export", "plain")
    assert "198.51.100.112:443/tcp" not in listed(out)
    assert "app.example shares it with shop.example; zeek-intel lists the name" in err


def test_a_store_that_somebody_else_wrote_writes_nothing_into_a_firewalls_file(run: Run) -> None:
    evil = 'x"\n}\nflush ruleset\n'
    change(hop=evil, entity=Entity("address", evil), port=None, proto=None, severity="critical", names=("\x1b[2J",))
    for form in FORMATS:
        code, out, err = run("export", form)
        assert code == cli.NOTHING
        assert "ruleset" not in out
        assert "about no address" in err
        assert "\x1b" not in err + out


def test_wrong_usage(run: Run) -> None:
    for arguments in (
        ["plain", "--chains"],
        ["pf"],
        [],
        ["plain", "--expires", "never"],
        ["plain", "--never", "x.txt"],
    ):
        code, out, err = run("export", *arguments)
        assert (code, out) == (cli.USAGE, "")
        assert err.startswith("hopscope: ")
        assert len(err.splitlines()) == 1


def test_nothing_found_is_an_empty_list(run: Run) -> None:
    store.save(kept(), [])
    code, out, err = run("export", "nftables", "--chains")
    assert code == cli.NOTHING
    assert "add element" not in out
    assert "0 lines listed, 0 not" in err
    nft(out)
    (kept()).unlink()
    assert run("export", "plain")[0] == cli.USAGE


def test_below_the_floor_is_counted(run: Run, findings: list[Finding]) -> None:
    below = len(store.read(kept())) - len(findings)
    assert below > 0
    assert f"; {below} finding" in run("export", "plain")[2]


def test_the_document_names_what_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "filtering.md").read_text(encoding="utf-8")
    known = {o for p in cli.commands.commands["export"].params for o in p.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= known
    assert all(f"`{option}" in page or f" {option} " in page for option in ("--never", "--shared", "--expires"))
    sets = set(re.findall(r"`([a-z]+[46])`", page))
    assert sets == set(nftables.SETS)
    [rules] = re.findall(r"```nft\n(.*?)```", page, re.DOTALL)
    own = "".join(f"\tset {name} {{ {definition} }}\n" for name, definition in nftables.SETS.items())
    nft(f"table inet hopscope {{\n{own}}}\n{rules}")
