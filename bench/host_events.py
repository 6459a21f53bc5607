"""Sysmon events (3) as a Windows host would have written them for the connections that a capture has of it.

    python -m bench.host_events pcaps/socat-beacon.pcap.gz --host 10.0.0.11=WS01.corp.example \\
        --program "192.0.2.102:443=C:\\\\Users\\\\alice\\\\AppData\\\\Local\\\\Temp\\\\sync.exe" > events.jsonl

The form is Winlogbeat's. All but the destinations that are named are a browser's connections. Nothing but programs,
accounts and the delay of a few milliseconds between packet and event is made up.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import click

from hopscope import hunting
from hopscope.findings import endpoint
from hopscope.records import InputCount

BROWSER = r"C:\Program Files\Mozilla Firefox\firefox.exe"
DELAY_MS = (1, 30)  # from the packet to the event, as Sysmon tells it
USER = r"CORP\alice"


@click.command()
@click.argument("capture")
@click.option("--host", "hosts", multiple=True, required=True, metavar="ADDRESS=NAME", help="Whose events to write.")
@click.option("--program", "programs", multiple=True, metavar="ADDRESS:PORT=PATH", help="Who connects there.")
@click.option("--seed", default=1, show_default=True)
def main(capture: str, hosts: tuple[str, ...], programs: tuple[str, ...], seed: int) -> None:
    """Write the events to standard output, one a line."""
    for event in events(capture, _pairs(hosts), _pairs(programs), seed):
        click.echo(json.dumps(event))


def events(capture: str, hosts: dict[str, str], programs: dict[str, str], seed: int) -> Iterator[dict[str, Any]]:
    """One event for each connection that one of the hosts opened, in order of time."""
    config = hunting.settings("none", None)
    opened = []
    for batch in hunting.records(capture, config=config, count=InputCount()):
        rows = batch.connections.select(["ts", "orig_h", "orig_p", "resp_h", "resp_p", "proto", "seg"]).to_pylist()
        opened += [r for r in rows if r["seg"] == 0 and r["orig_h"] in hosts and r["proto"] in ("tcp", "udp")]
    opened.sort(key=lambda r: (r["ts"], r["orig_h"], r["orig_p"]))
    draw = random.Random(seed)
    pids: dict[tuple[str, str], int] = {}
    for number, row in enumerate(opened, 4711):
        program = programs.get(endpoint(row["resp_h"], row["resp_p"]), BROWSER)
        pid = pids.setdefault((row["orig_h"], program), draw.randrange(1000, 9000, 4))
        happened = row["ts"] + timedelta(milliseconds=draw.randint(*DELAY_MS))
        yield _winlogbeat(row, hosts[row["orig_h"]], program, pid, number, happened)


def _winlogbeat(row: dict[str, Any], host: str, program: str, pid: int, number: int, happened: Any) -> dict[str, Any]:
    utc = happened.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    written = (happened + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    six = str(":" in row["orig_h"]).lower()
    return {
        "@timestamp": f"{written}Z",
        "host": {"name": host},
        "winlog": {
            "provider_name": "Microsoft-Windows-Sysmon", "channel": "Microsoft-Windows-Sysmon/Operational",
            "event_id": "3", "record_id": number, "computer_name": host, "version": 5,
            "event_data": {
                "RuleName": "-", "UtcTime": utc, "ProcessGuid": f"{{5a2b1c00-0001-0000-{pid:04x}-000000000000}}",
                "ProcessId": str(pid), "Image": program, "User": USER, "Protocol": row["proto"], "Initiated": "true",
                "SourceIsIpv6": six, "SourceIp": row["orig_h"], "SourceHostname": host,
                "SourcePort": str(row["orig_p"]), "SourcePortName": "-", "DestinationIsIpv6": six,
                "DestinationIp": row["resp_h"], "DestinationHostname": "-", "DestinationPort": str(row["resp_p"]),
                "DestinationPortName": "-",
            },
        },
    }  # fmt: skip


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    return dict(text.split("=", 1) for text in given)


if __name__ == "__main__":
    main()
