"""Packets per second: hopscope beside other readers, on one file in one run.

    python bench/speed.py [--packets 400000] [--scales 1,2,4,8] [--captures DIR]

Repeats the captures (default: those in pcaps/) with later times and other client addresses until the file
has the wanted number of packets, then runs each tool on it as a process of its own and prints wall time,
CPU time, peak memory and the ratio of packets per second to `tshark -T fields`. With --scales also how
hopscope's cost grows with the file. Tools that are not installed are left out and named.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
          "frame.len", "tls.handshake.extensions_server_name", "dns.qry.name")  # fmt: skip
RECORDS = (
    "import sys\nfrom hopscope import config\nfrom hopscope.records import InputCount\n"
    "from hopscope.sensor.read import records\n"
    "n = 0\nfor b in records(sys.argv[1], sys.argv[1], config.load(), InputCount()):\n"
    "    n += b.connections.num_rows + b.dns_queries.num_rows\nprint(n)"
)
SCAPY = "import sys\nfrom scapy.utils import PcapReader\nn = 0\nfor p in PcapReader(sys.argv[1]):\n    n += 1\nprint(n)"
DPKT = (
    "import sys, dpkt\nn = 0\nfor ts, raw in dpkt.pcap.Reader(open(sys.argv[1], 'rb')):\n"
    "    e = dpkt.ethernet.Ethernet(raw)\n    n += isinstance(e.data, dpkt.ip.IP)\nprint(n)"
)
NFSTREAM = "import sys\nfrom nfstream import NFStreamer\nprint(sum(1 for _ in NFStreamer(source=sys.argv[1])))"


@dataclass(frozen=True)
class Run:
    """One tool on one file: wall and CPU seconds, peak memory in MB."""

    wall: float
    cpu: float
    memory: float


def packets(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(seconds, fraction, frame) of a little-endian pcap."""
    data = gzip.decompress(path.read_bytes())
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack_from("<IIII", data, at)
        yield seconds, fraction, data[at + 16 : at + 16 + length]
        at += 16 + length


def build(captures: Sequence[Path], wanted: int, out: Path) -> int:
    """Writes a nanosecond pcap of at least `wanted` packets; each repetition is later and from other clients."""
    loaded = [list(packets(p)) for p in captures]
    count = round_ = 0
    clock = 1_700_000_000
    with out.open("wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        while count < wanted:
            for capture in loaded:
                first = capture[0][0]
                for seconds, fraction, frame in capture:
                    if frame[12:14] == b"\x08\x00":
                        frame = _moved(frame, round_)
                    f.write(struct.pack("<IIII", clock + seconds - first, fraction, len(frame), len(frame)) + frame)
                count += len(capture)
                clock += capture[-1][0] - first + 1
            round_ += 1
    return count


def _moved(frame: bytes, round_: int) -> bytes:
    """The frame with clients of 10.0.0.0/24 moved to 10.0.N.0/24 (checksums are left as they are)."""
    third = bytes([round_ % 256])
    for at in (26, 30):
        if frame[at : at + 2] == b"\x0a\x00":
            frame = frame[: at + 2] + third + frame[at + 3 :]
    return frame


def run(command: Sequence[str], cwd: Path) -> Run:
    """Runs a command to its end with its output thrown away."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd) as p:
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode not in (0, 1):  # 1: a hunt that found something
        raise SystemExit(f"{' '.join(command[:4])} ended with {p.returncode}")
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def tools(capture: Path, state: Path) -> Iterator[tuple[str, list[str] | None]]:
    """Each tool's name and command, None when it isn't installed."""
    hopscope = [sys.executable, "-m", "hopscope"]
    python, file = sys.executable, str(capture)
    yield "hopscope, to records", [sys.executable, "-c", RECORDS, file]
    yield "hopscope, to findings", [*hopscope, "hunt", "--format", "jsonl", "--findings", str(state), file]
    tshark = [part for field in FIELDS for part in ("-e", field)]
    yield "tshark -T fields", ["tshark", "-n", "-r", file, "-T", "fields", *tshark] if shutil.which("tshark") else None
    yield "zeek -r, default scripts", ["zeek", "-C", "-r", file] if shutil.which("zeek") else None
    for name, code in (("nfstream", NFSTREAM), ("dpkt", DPKT), ("scapy", SCAPY)):
        yield name, [python, "-c", code, file] if importlib.util.find_spec(name) else None


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--packets", type=int, default=400_000)
    p.add_argument("--scales", default="", help="comma-separated factors, e.g. 1,2,4,8")
    p.add_argument("--captures", type=Path, default=ROOT / "pcaps")
    p.add_argument("--only", default="", help="run only tools whose name begins with this")
    a = p.parse_args()
    captures = sorted(a.captures.glob("*.pcap.gz"))
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        file, state = work / "bench.pcap", work / "findings.jsonl"
        small = work / "small.pcap"
        build(captures[:1], 1, small)
        run([sys.executable, "-m", "hopscope", "records", str(small)], work)  # compiles the sensor where it never ran
        count = build(captures, a.packets, file)
        print(f"{count:,} packets, {file.stat().st_size / 1e6:,.0f} MB\n")
        chosen = [(n, c) for n, c in tools(file, state) if n.startswith(a.only)]
        runs = {name: run(command, work) if command else None for name, command in chosen}
        base = runs.get("tshark -T fields")
        print("| tool | seconds | CPU seconds | packets/s | memory | to tshark | to zeek |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        zeek = runs.get("zeek -r, default scripts")
        for name, r in runs.items():
            if r is None:
                print(f"| {name} | not installed | | | | | |")
                continue
            ratios = [f"{b.wall / r.wall:.2f}" if b else "" for b in (base, zeek)]
            print(f"| {name} | {r.wall:.1f} | {r.cpu:.1f} | {count / r.wall:,.0f} | {r.memory:,.0f} MB | "
                  f"{' | '.join(ratios)} |")  # fmt: skip
        if a.scales:
            print("\n| size | packets | records, s | per packet, to size 1 | memory | findings, s | memory |")
            print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
            first = None
            for scale in (int(x) for x in a.scales.split(",")):
                count = build(captures, a.packets * scale, file)
                records, hunt = (run(c, work) for n, c in tools(file, state) if n.startswith("hopscope") and c)
                each = records.wall / count
                first = first or each
                print(f"| {scale} | {count:,} | {records.wall:.1f} | {each / first:.2f} | {records.memory:,.0f} MB | "
                      f"{hunt.wall:.1f} | {hunt.memory:,.0f} MB |")  # fmt: skip


if __name__ == "__main__":
    main()
