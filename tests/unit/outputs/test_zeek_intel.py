"""Files of Zeek's Intel framework, as its readers and ours take them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from hopscope.allow import exchange
from hopscope.outputs import zeek_intel
from support.blocklists import blocklist, listed

LINES = [
    listed("203.0.113.9", ports=("443/tcp",)),
    listed("2001:db8::9"),
    listed("2001:db8:0:1::/64"),
    listed("hop.example"),
]


def test_lines_are_indicators_that_say_of_what_and_until_when() -> None:
    about = "proxy hop (T1090.002), until 2026-11-29T11:00:03Z, high, hop-3fa9c21b7d"
    assert list(zeek_intel.lines(blocklist(LINES))) == [
        "#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc",
        f"203.0.113.9\tIntel::ADDR\thopscope\t{about}, seen at 443/tcp",
        f"2001:db8::9\tIntel::ADDR\thopscope\t{about}",
        f"2001:db8:0:1::/64\tIntel::SUBNET\thopscope\t{about}",
        f"hop.example\tIntel::DOMAIN\thopscope\t{about}",
    ]


def test_a_description_stays_one_field_of_one_line() -> None:
    row = zeek_intel.row("203.0.113.9", "ADDR", "a\tb\nc\\x41\x1b[2J\u2028d", ["T"])
    assert row == "203.0.113.9\tIntel::ADDR\thopscope\ta b c x41 [2J d\tT"


def test_what_is_written_can_be_read_as_an_allowlist() -> None:
    text = "\n".join(zeek_intel.lines(blocklist(LINES)))
    assert {c: [str(v) for v in values] for c, values in exchange.read(text, "f").conditions.items()} == {
        "networks": ["2001:db8:0:1::/64"], "addresses": ["203.0.113.9", "2001:db8::9"], "names": ["hop.example"]
    }  # fmt: skip


def test_zeek_reads_it(tmp_path: Path) -> None:
    zeek = shutil.which("zeek")
    if zeek is None:
        pytest.skip("zeek isn't installed")
    (tmp_path / "hops.dat").write_text("".join(f"{line}\n" for line in zeek_intel.lines(blocklist(LINES))))
    (tmp_path / "read.zeek").write_text(
        """
@load base/frameworks/intel
redef Intel::read_files += { "hops.dat" };
redef exit_only_after_terminate = T;
global entries = 0;
event Intel::read_entry(desc: Input::EventDescription, tpe: Input::Event, item: Intel::Item)
	{
	print item$indicator, item$indicator_type, item$meta$source, item$meta$desc;
	if ( ++entries == 4 )
		terminate();
	}
event Intel::read_error(desc: Input::EventDescription, message: string, level: Reporter::Level)
	{
	print "error", message;
	terminate();
	}
event give_up() { terminate(); }
event zeek_init() { schedule 20sec { give_up() }; }
"""
    )
    done = subprocess.run([zeek, "read.zeek"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    told = "hopscope, proxy hop (T1090.002), until 2026-11-29T11:00:03Z, high, hop-3fa9c21b7d"
    assert done.stdout.splitlines() == [
        f"203.0.113.9, Intel::ADDR, {told}, seen at 443/tcp",
        f"2001:db8::9, Intel::ADDR, {told}",
        f"2001:db8:0:1::/64, Intel::SUBNET, {told}",
        f"hop.example, Intel::DOMAIN, {told}",
    ], done.stderr
