"""What is shown of a connection's packets, and what is said to see in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hopscope import dissect, packets
from hopscope.errors import InputError, UsageError
from hopscope.outputs import page
from hopscope.packets import Packet
from support.findings import CONNECTION, finding

HANDSHAKE = [
    Packet(1, 0.000, True, "SYN", 0),
    Packet(2, 0.020, False, "SYN-ACK", 0),
    Packet(3, 0.021, True, "ACK", 0),
]
HELLOS = [Packet(4, 0.022, True, "ClientHello", 517), Packet(5, 0.177, False, "ServerHello", 1400)]
LATER = [
    Packet(6, 0.178, False, "TLS", 700),
    Packet(7, 0.180, True, "ACK", 0),
    Packet(8, 0.200, True, "TLS", 1400),
    Packet(9, 0.201, True, "TLS", 90),
    Packet(10, 0.222, False, "TLS", 300),
]


def told(monkeypatch: pytest.MonkeyPatch, *seen: Packet, connections: int = 1) -> str:
    monkeypatch.setattr(packets, "read", lambda *_: list(seen))
    many = tuple({**CONNECTION, "uid": f"C{i}"} for i in range(connections))
    rows = dissect.rows(finding(connections=many), Path("x.pcap"))
    return "\n".join(line.plain for line in page.lines(rows, 100))


def test_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        told(monkeypatch, *HANDSHAKE, *HELLOS, *LATER, connections=3)
        == """\
LOW  192.0.2.102:443/tcp (sync.cover.example)                                         hop-3fa9c21b7d
connection C0: 10.0.0.11:33886 -> 192.0.2.102:443

  packet          at          what
       1      0.0 ms  -> hop  SYN
       2     20.0 ms  <- hop  SYN-ACK   after 20 ms
       3     21.0 ms  -> hop  ACK
       4     22.0 ms  -> hop  ClientHello, 517 bytes
       5    177.0 ms  <- hop  ServerHello, 1.4 kB   after 155 ms
       9    201.0 ms  -> hop  TLS, 90 bytes
      10    222.0 ms  <- hop  TLS, 300 bytes   after 21 ms

What to see
  SYN to SYN-ACK took 20 ms: that is the way to the address and back.
  ClientHello to ServerHello took 155 ms, 135 ms longer than the way: something behind it answered,
  or it was slow itself.
  The answer (packet 10) to packet 9 took 21 ms: no longer than the way and a moment's work, so the
  address answered itself.

2 further connections behind this finding: --connection UID shows another"""
    )


def test_a_beginning_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(monkeypatch, *HELLOS)
    assert "doesn't hold the connection's beginning" in text
    assert "ClientHello to ServerHello took 155 ms." in text


def test_no_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "The address answered no request." in told(monkeypatch, *HANDSHAKE)


def test_a_capture_without_the_connection_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="holds no packet of connection C0"):
        told(monkeypatch)


def test_the_connection_with_the_widest_gap_is_shown_unless_one_is_named() -> None:
    near = {**CONNECTION, "uid": "Cnear", "hello_rtt": 0.02}
    wide = {**CONNECTION, "uid": "Cwide", "hello_rtt": None, "first_reply": 0.9}
    blind = {**CONNECTION, "uid": "Cblind", "tcp_rtt": None, "hello_rtt": 5.0}
    f = finding(connections=(near, wide, blind))
    assert dissect.choose(f, None)["uid"] == "Cwide"
    assert dissect.choose(f, "Cnear")["uid"] == "Cnear"
    with pytest.raises(UsageError, match="no connection 'Cother'; `hopscope explain hop-3fa9c21b7d` lists them"):
        dissect.choose(f, "Cother")
    with pytest.raises(UsageError, match="keeps no connection"):
        dissect.choose(finding(connections=()), None)
