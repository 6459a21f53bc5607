"""How many host events a second go through Sigma rules, on one core.

    python -m bench.sigma [--events 1000000] [--rules DIR]

Events are made: Sysmon 3 and Security 5156 of a hundred hosts, one in ten thousand an RDP tunnel or portmap.io. They
go through the two shipped rules about them, through all shipped rules, and through two hundred rules: of DIR, which
may be a checkout of SigmaHQ/sigma, where it is named, else made for the purpose.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import yaml

from hopscope.records import HOST_EVENT_SCHEMA, Batch
from hopscope.sigma import Matcher, Rule, Rules, load, reading

BATCH = 50_000
TWO = ("rdp_reverse_tunnel_security.yml", "portmap_io_connection.yml")
MADE = 200


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--rules", "directory", type=click.Path(exists=True, path_type=Path), help="Rules that people use.")
def main(events: int, directory: Path | None) -> None:
    """Print the table."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    shipped = [r for r in load([]).rules if "host_event" in r.kinds]
    two = Rules(tuple(r for r in shipped if Path(r.place).name in TWO))
    assert len(two.rules) == len(TWO)
    sets = {"the two shipped rules": two, "all shipped rules about host events": Rules(tuple(shipped))}
    if directory is None:
        sets[f"{MADE} made rules"] = Rules(tuple(_made()))
    else:
        applied = [r for r in load([directory], shipped=False).rules if "host_event" in r.kinds]
        sets[f"{len(applied)} rules of {directory.name} about host events"] = Rules(tuple(applied))
        sets[f"these and made ones, {MADE} in all"] = Rules((*applied, *_made())[:MADE])
    batches = list(_batches(events))
    print(f"| rules | host events a second, one core | groups | ({events:,} events in batches of {BATCH:,}) |")
    print("| --- | --- | --- | --- |")
    for name, rules in sets.items():
        rates, groups = zip(*(_run(rules, batches, events) for _ in range(3)), strict=True)
        print(f"| {name} | {max(rates):,.0f} | {groups[0]:,} | {', '.join(f'{rate:,.0f}' for rate in rates)} |")


def _run(rules: Rules, batches: Sequence[Batch], events: int) -> tuple[float, int]:
    matcher = Matcher(rules)
    began = time.process_time()
    for batch in batches:
        matcher.add(batch)
    groups = matcher.matches().num_rows
    return events / (time.process_time() - began), groups


def _made() -> Iterator[Rule]:
    """Rules as people write them: programs, names and networks, with exclusions."""
    conditions = ("selection and not filter", "(selection or names) and not filter", "1 of sel* and port")
    for n in range(MADE):
        detection = {
            "selection": {"Initiated": "true", "Image|endswith": [f"\\tool{n}.exe", f"\\app{n}.exe"]},
            "names": {"DestinationHostname|endswith": [f".evil{n}.example", f".bad{n}.example"]},
            "port": {"DestinationPort": [n + 8000, n + 9000]},
            "filter": {"DestinationIp|cidr": ["10.0.0.0/8", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7"]},
            "condition": conditions[n % 3],
        }
        source = {"product": "windows", "category": "network_connection"}
        document = {"title": f"Made {n}", "logsource": source, "detection": detection}
        [rule] = reading.of_text(yaml.safe_dump(document).encode(), "made")
        assert isinstance(rule, Rule)
        yield rule


def _batches(events: int) -> Iterator[Batch]:
    draw = np.random.default_rng(1)
    programs = np.array([f"C:\\Program Files\\Vendor{i}\\app{i}.exe" for i in range(400)], dtype=object)
    names = np.array([None, *(f"host{i}.cdn{i % 97}.example" for i in range(20_000))], dtype=object)
    for start in range(0, events, BATCH):
        number = min(BATCH, events - start)
        sysmon = draw.random(number) < 0.5
        rare = draw.random(number) < 1e-4
        servers = np.array([f"203.{a}.{b}.{c}" for a, b, c in draw.integers(0, 255, (number, 3))], dtype=object)
        clients = np.array([f"10.0.{h // 250}.{h % 250}" for h in range(100)], dtype=object)
        host = draw.integers(0, 100, number)
        columns = {
            "ts": 1_700_000_000_000_000 + np.arange(start, start + number) * 1000,
            "provider": np.where(sysmon, "sysmon", "security"),
            "event_id": np.where(sysmon, 3, 5156),
            "record": np.arange(start, start + number),
            "host": np.array([f"ws{h:03}.corp.example" for h in range(100)], dtype=object)[host],
            "process": programs[np.minimum(draw.zipf(1.3, number), 400) - 1],
            "pid": draw.integers(4, 20_000, number),
            "user": np.where(sysmon, "CORP\\user", None),
            "proto": np.where(draw.random(number) < 0.8, "tcp", "udp"),
            "initiated": draw.random(number) < 0.9,
            "src_h": np.where(rare & ~sysmon, "127.0.0.1", clients[host]),
            "src_p": draw.integers(1024, 65_535, number),
            "dst_h": np.where(rare & ~sysmon, "127.0.0.2", servers),
            "dst_p": np.where(rare, 3389, draw.choice([443, 80, 53, 8443, 22], number)),
            "dst_name": np.where(rare, "a.portmap.io", names[np.minimum(draw.zipf(1.2, number), 20_000)]),
        }
        made = [
            pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(number, f.type)
            for f in HOST_EVENT_SCHEMA
        ]
        yield Batch(host_events=pa.RecordBatch.from_arrays(made, schema=HOST_EVENT_SCHEMA))


if __name__ == "__main__":
    main()
