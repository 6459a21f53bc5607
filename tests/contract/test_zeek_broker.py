"""The native line: real Broker endpoints that peer on loopback, by the bindings that Debian or Zeek ships.

Debian's python3-broker is for the system's Python; the tests skip under another version of Python.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import select
import socket
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.fake_zeek import until
from hopscope.config import LiveSettings
from hopscope.errors import InputError, UsageError
from hopscope.records import InputCount
from hopscope.sources import broker_bindings
from hopscope.sources.broker_json import BATCH, Event, RecordLines
from hopscope.sources.broker_json import decode as decode_frame
from hopscope.sources.broker_values import Count, Timestamp, Value
from hopscope.sources.zeek_broker import ZeekBroker, decode
from hopscope.sources.zeek_stream import TOPIC, ZeekStream
from support.findings import BARE
from support.stream import arguments, batch, connection, frame, heartbeat, hello

DEBIAN = Path("/usr/lib/python3/dist-packages")
ODD = "x\x0b\x7f é"  # what WebSocket's JSON has to repair


@pytest.fixture(scope="module")
def broker() -> Any:
    """Zeek's bindings, where this Python has any."""
    try:
        return broker_bindings.load([*sys.path, str(DEBIAN)])
    except UsageError as e:
        version = sysconfig.get_python_version()
        pytest.skip(f"no bindings of Zeek's Broker for Python {version}; Debian has python3-broker for its own ({e})")


@pytest.fixture
def port() -> int:
    """One that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Zeek:
    """An endpoint that publishes as Zeek's does."""

    def __init__(self, broker: Any, port: int) -> None:
        self.broker, self.endpoint = broker, broker.Endpoint()
        self.findings = self.endpoint.make_subscriber("/hopscope/findings")
        assert self.endpoint.listen("127.0.0.1", port) == port

    def publish(self, *messages: Event | RecordLines) -> None:
        for message in messages:
            if isinstance(message, RecordLines):
                message = Event(TOPIC, BATCH, arguments(message))
            event = self.broker.zeek.Event(message.name, *(self.native(arg) for arg in message.args))
            self.endpoint.publish(TOPIC, event)

    def native(self, value: Value) -> Any:
        if isinstance(value, tuple):
            return [self.native(v) for v in value]
        if isinstance(value, Timestamp):
            return self.broker.Timestamp(value.ns / 1e9)
        return self.broker.Count(int(value)) if isinstance(value, Count) else value


@pytest.fixture
def zeek(broker: Any, port: int) -> Iterator[Zeek]:
    """Listening on `port`."""
    it = Zeek(broker, port)
    yield it
    it.endpoint.shutdown()


SENT = (
    hello(), heartbeat(0, 0), batch(0, [connection(0, sni=ODD), connection(1)]), batch(0, kind="dns_query"), batch(3),
    heartbeat(13, 4, received=50, dropped=50),
)  # fmt: skip


def test_native_broker_gives_what_websocket_gives(zeek: Zeek, port: int) -> None:
    count, same = InputCount(), InputCount()
    [expected] = ZeekStream(same).feed([decode_frame(frame(message)) for message in SENT])
    got = []
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), count) as source:
        assert source.status.line().startswith(f"connected to Zeek at broker://127.0.0.1:{port}, 0 nodes")
        until(lambda: bool(zeek.endpoint.peer_subscriptions()))
        zeek.publish(*SENT)
        until(lambda: got.extend(source.poll(0.05)) or count.missing == same.missing)
    assert sum(b.connections.num_rows + b.dns_queries.num_rows for b in got) == 6
    table = [row for b in got for row in b.connections.to_pylist()]
    assert table == expected.connections.to_pylist()
    assert [row for b in got for row in b.dns_queries.to_pylist()] == expected.dns_queries.to_pylist()
    assert (count.missing, count.refused) == (same.missing, same.refused)
    assert sorted(count.problems or ()) == sorted(same.problems or ())
    assert count.missing == 9


FINDING = dataclasses.replace(BARE, attack=("T1090.001",))


def test_findings_go_back_with_their_types(zeek: Zeek, port: int) -> None:
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), InputCount()) as source:
        source.send_finding(FINDING)
        assert select.select([zeek.findings.fd()], [], [], 10)[0]
        [(topic, data)] = zeek.findings.poll()
    event = zeek.broker.zeek.Event(data)
    assert (topic, event.name()) == ("/hopscope/findings", "Hopscope::finding")
    [record] = event.args()
    assert record[:2] == ("hop-1", ipaddress.IPv4Address("203.0.113.9"))
    assert (record[2].number(), record[2].get_type()) == (443, zeek.broker.Port.TCP)
    clients = (ipaddress.IPv4Address("10.0.0.1"), ipaddress.IPv6Address("2001:db8::1"))
    assert record[3:] == ("high", 12.0, clients, ("x.example",), True, "203.0.113.9:443/tcp")


def test_a_peer_that_goes_and_comes_is_told(broker: Any, port: int) -> None:
    count = InputCount()
    first = Zeek(broker, port)
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), count) as source:
        until(lambda: bool(first.endpoint.peer_subscriptions()))
        # both sides know of the peering when something went each way; Broker 1.4 can lose a parting before that
        first.publish(hello())
        until(lambda: source.poll(0.05) == [] and len(source.status.stream.nodes) == 1)
        source.send_finding(FINDING)
        assert select.select([first.findings.fd()], [], [], 10)[0]
        first.endpoint.shutdown()
        until(lambda: source.poll(0.01) == [] and source.status.peer is None)
        assert "not connected (the peer went away)" in source.status.line()
        source.send_finding(FINDING)
        assert source.status.unsent == 1
        again = Zeek(broker, port)
        until(lambda: source.status.reconnects == 1)
        source.poll(0.0)
        problems = "\n".join(count.problems or ())
        again.endpoint.shutdown()
    assert "the line broke 1 times" in problems
    assert "1 findings could not be sent back to Zeek" in problems


def test_a_peer_that_says_nothing_is_told(zeek: Zeek, port: int) -> None:
    now = [0.0]
    count = InputCount()
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), count, clock=lambda: now[0]) as source:
        now[0] = 31.0
        source.poll(0.0)
    assert "connected, but no node has said hello in 30 s" in "\n".join(count.problems or ())


def test_what_finds_no_room_is_told(zeek: Zeek, port: int) -> None:
    count = InputCount()
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(queue_mb=1), count) as source:
        until(lambda: bool(zeek.endpoint.peer_subscriptions()))
        zeek.publish(*(batch(i, [connection(i, user_agent="x" * 300_000)]) for i in range(10)))
        until(lambda: source.status.lost_frames > 5)
        source.drain()
    assert "frames were dropped because decoding could not keep up" in "\n".join(count.problems or ())


def test_a_message_that_python_can_not_hold_takes_no_other_with_it(zeek: Zeek, port: int) -> None:
    """A set of sets: the bindings can't make Python's of it."""
    sets = zeek.broker.Data(zeek.broker.Set([zeek.broker.Data({1})]))
    count = InputCount()
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), count) as source:
        until(lambda: bool(zeek.endpoint.peer_subscriptions()))
        zeek.publish(batch(0))
        zeek.endpoint.publish(TOPIC, sets)
        zeek.publish(batch(1), batch(2))
        until(lambda: source.poll(0.05) == [] and source.status.stream.records == 6)
    assert count.refused == 1


def test_an_error_in_the_reading_thread_is_told_and_it_reads_on(
    zeek: Zeek, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = InputCount()
    failed: list[int] = []

    def fail_once(*_: object) -> None:
        if not failed:
            failed.append(1)
            raise RecursionError("odd")

    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), count) as source:
        until(lambda: bool(zeek.endpoint.peer_subscriptions()))
        monkeypatch.setattr(source._inbox, "put", fail_once)
        zeek.publish(batch(0))
        until(lambda: source.poll(0.01) == [] and count.problems is not None)
        monkeypatch.undo()
        zeek.publish(batch(1))
        until(lambda: bool(source.poll(0.01)))
    assert "reading failed (RecursionError: odd)" in "\n".join(count.problems or ())


def test_findings_of_the_end_arrive(zeek: Zeek, port: int) -> None:
    with ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(), InputCount()) as source:
        until(lambda: bool(zeek.endpoint.peer_subscriptions()))
        source.drain()
        for _ in range(50):
            source.send_finding(FINDING)
    came = []
    until(lambda: came.extend(zeek.findings.poll()) or len(came) == 50, timeout_s=5.0)


def test_where_no_broker_answers_is_said(broker: Any, port: int) -> None:
    with pytest.raises(InputError, match=rf"broker://127.0.0.1:{port}: no Broker answered within 0.3 s"):
        ZeekBroker(f"broker://127.0.0.1:{port}", LiveSettings(ack_s=0.3), InputCount()).__enter__()


def test_what_is_not_hopscopes_is_refused(broker: Any) -> None:
    for odd in (None, (), (1, 2, 3), (broker.Count(1), broker.Count(3), ("x", ())), (1, 1, (BATCH, (1,)))):
        ZeekStream(InputCount()).feed([decode("/t", odd)])


def run(script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In a fresh Python: a compiled module is loaded once."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], **env},
    )  # fmt: skip


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """A directory with a project named broker that is not Zeek's, and tells when it is run."""
    package = tmp_path / "site" / "broker"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("print('it was run')\n")
    (package / "broker.py").touch()
    return package.parent


LOAD = """
    from hopscope.sources import broker_bindings
    try:
        print(broker_bindings.load().__file__)
    except Exception as e:
        print(type(e).__name__, e)
"""


def test_the_project_of_that_name_on_pypi_is_refused_by_name_and_never_run(another: Path) -> None:
    done = run(LOAD, PYTHONPATH=str(another))
    assert done.stderr == ""
    assert "it was run" not in done.stdout
    assert done.stdout.startswith("UsageError broker:// needs the Python bindings that come with Zeek")
    assert f"{another}/broker is not Zeek's but another project of that name, as PyPI has one" in done.stdout
    assert "never pip install broker" in done.stdout


def test_bindings_are_found_behind_another_project_and_through_zeek_config(
    broker: Any, another: Path, tmp_path: Path
) -> None:
    place = Path(broker.__file__).parents[1]
    config = tmp_path / "zeek-config"
    config.write_text(f"#!/bin/sh\n[ \"$1\" = --python_dir ] && echo '{place}'\n")
    config.chmod(0o755)
    found = f"{broker.__file__}\n"
    assert run(LOAD, PYTHONPATH=str(another), PATH=f"{tmp_path}:/usr/bin:/bin").stdout == found
    assert run(LOAD, PYTHONPATH=str(another), HOPSCOPE_BROKER_PYTHON=str(place)).stdout == found


def test_bindings_that_this_python_can_not_load_are_told(tmp_path: Path) -> None:
    package = tmp_path / "broker"
    package.mkdir()
    (package / "__init__.py").write_text("from . import _broker\n")
    (package / "zeek.py").touch()
    (package / "_broker.cpython-399-x86_64-linux-gnu.so").touch()
    assert f"{package} can't be loaded" in run(LOAD, HOPSCOPE_BROKER_PYTHON=str(tmp_path)).stdout
