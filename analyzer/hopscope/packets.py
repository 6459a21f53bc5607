"""The packets of one connection of a capture, through pyshark and TShark (the `dissect` extra).

pyshark is imported here and nowhere else, and only when a connection is asked for.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

from hopscope.errors import InputError, UsageError

MOST = 60  # packets taken of a connection: what shows the gap stands at its beginning
MARGIN_SECONDS = 1.0  # ports are used again: only packets of the connection's time count
FLAGS = {0x02: "SYN", 0x12: "SYN-ACK", 0x04: "RST", 0x14: "RST", 0x01: "FIN", 0x11: "FIN"}
HANDSHAKES = {1: "ClientHello", 2: "ServerHello"}
TLS_HANDSHAKE = 0x16


@dataclass(frozen=True)
class Packet:
    """One packet: its number in the capture, seconds since the connection's first, who sent it, what it is.

    `what` is SYN, SYN-ACK, ACK, FIN, RST, ClientHello, ServerHello or TShark's name of the protocol of its
    payload of `size` bytes.
    """

    number: int
    seconds: float
    from_orig: bool
    what: str
    size: int


def read(pcap: Path, connection: Mapping[str, Any]) -> list[Packet]:
    """The connection's first packets, in the capture's order.

    `connection` has the fields orig_h, orig_p, resp_h, resp_p, proto, ts (epoch seconds or RFC 3339) and
    duration of its record. Raises UsageError when pyshark or TShark isn't installed and InputError when
    TShark can't read the capture.
    """
    pyshark = _pyshark()
    if not pcap.is_file():
        raise InputError(str(pcap), "no such file", "give the capture that the finding came from")
    with _loop() as loop:
        return _collect(pyshark, pcap, connection, loop)


def _collect(
    pyshark: ModuleType, pcap: Path, connection: Mapping[str, Any], loop: asyncio.AbstractEventLoop
) -> list[Packet]:
    found: list[Packet] = []
    start: Decimal | None = None
    originator = (ipaddress.ip_address(connection["orig_h"]), connection["orig_p"])
    capture = pyshark.FileCapture(
        str(pcap.resolve()), display_filter=display_filter(connection), keep_packets=False, eventloop=loop
    )
    try:
        with closing(capture):
            for raw in capture:
                at = Decimal(raw.sniff_timestamp)
                start = at if start is None else start
                found.append(_packet(raw, originator, float(at - start)))
                if len(found) == MOST:
                    break
    except pyshark.capture.capture.TSharkCrashException as e:
        capture._running_processes.clear()  # it crashed; else pyshark tries to stop it when the loop is gone
        if not found:  # a capture that is cut at its end makes TShark complain after the packets
            raise InputError(str(pcap), f"TShark can't read it ({e})", "give a capture that it reads") from None
    return found


def display_filter(connection: Mapping[str, Any]) -> str:
    """TShark's display filter for the connection; made of addresses, numbers and fixed words alone.

    Raises UsageError when the finding's connection doesn't hold them.
    """
    try:
        orig, resp = ipaddress.ip_address(connection["orig_h"]), ipaddress.ip_address(connection["resp_h"])
        ports = int(connection["orig_p"]), int(connection["resp_p"])
        proto = {"tcp": "tcp", "udp": "udp"}[connection["proto"]]
    except (KeyError, ValueError, TypeError) as e:
        raise UsageError(
            f"the finding's connection doesn't say its addresses and ports ({e}); hunt again with this version"
        ) from e
    ip = "ip" if orig.version == 4 else "ipv6"
    ways = " || ".join(
        f"({ip}.src == {a} && {proto}.srcport == {p} && {ip}.dst == {b} && {proto}.dstport == {q})"
        for a, p, b, q in ((orig, ports[0], resp, ports[1]), (resp, ports[1], orig, ports[0]))
    )
    first = epoch(connection.get("ts"))
    if first is None:
        return f"({ways})"
    last = first + float(connection.get("duration") or 0.0) + MARGIN_SECONDS
    return f"({ways}) && frame.time_epoch >= {first - MARGIN_SECONDS:.6f} && frame.time_epoch <= {last:.6f}"


def epoch(ts: Any) -> float | None:
    """A finding's time as epoch seconds; None when it has none."""
    from datetime import datetime

    if isinstance(ts, int | float):
        return float(ts)
    try:
        return datetime.fromisoformat(ts).timestamp()
    except (TypeError, ValueError):
        return None


def _pyshark() -> ModuleType:
    try:
        import pyshark
        import pyshark.capture.capture
    except ImportError as e:
        raise UsageError("dissect needs pyshark; install it with pip install 'hopscope[dissect]'") from e
    if shutil.which("tshark") is None:
        raise UsageError("dissect needs TShark and there is none on the PATH; install it with apt-get install tshark")
    module: ModuleType = pyshark
    return module


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of our own: pyshark's way to one asks for what Python 3.14 no longer has."""
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        gc.collect()  # pipes of a TShark that was stopped early close while there is a loop to do it
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def _packet(raw: Any, originator: tuple[Any, int], seconds: float) -> Packet:
    ip = raw.ip if "IP" in raw else raw.ipv6
    sender = (ipaddress.ip_address(str(ip.src)), int(raw[raw.transport_layer].srcport))
    size, what = _content(raw)
    return Packet(int(raw.number), seconds, sender == originator, what, size)


def _content(raw: Any) -> tuple[int, str]:
    """Payload bytes and what they are, or what a packet without payload is."""
    if raw.transport_layer == "UDP":
        return int(raw.udp.length) - 8, str(raw.highest_layer)
    size = int(raw.tcp.len)
    if size == 0:
        flags = int(str(raw.tcp.flags), 16) & 0x17
        return 0, FLAGS.get(flags, "ACK")
    payload = bytes.fromhex(str(raw.tcp.get_field("payload") or "").replace(":", ""))
    if len(payload) > 5 and payload[0] == TLS_HANDSHAKE and payload[5] in HANDSHAKES:
        return size, HANDSHAKES[payload[5]]
    return size, "data" if raw.highest_layer == "DATA" else str(raw.highest_layer)
