"""SSH: banners, host key, and when Zeek counts it."""

from __future__ import annotations

from hashlib import sha256

import pytest

from hopscope.sensor.dissect import tcp
from support.messages import HOST_KEY, sized, ssh, ssh_packet

CLIENT, SERVER = ssh()


def test_a_key_exchange() -> None:
    facts = tcp(CLIENT, SERVER, 50000, 443)
    assert facts.services == ["ssh"]
    assert facts.ssh_client == "SSH-2.0-OpenSSH_9.7"
    assert facts.ssh_server == "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5"
    assert facts.ssh_host_key == sha256(HOST_KEY).hexdigest()


def test_a_group_exchange_has_its_key_in_a_later_reply() -> None:
    banner = SERVER[: SERVER.index(b"\n") + 1]
    group = ssh_packet(b"\x1f" + sized(4, b"\0" + bytes(range(128, 192))) + sized(4, b"\2"))
    reply = ssh_packet(b"\x21" + sized(4, HOST_KEY) + sized(4, bytes(64)) + sized(4, bytes(83)))
    facts = tcp(CLIENT, banner + group + reply + ssh_packet(b"\x15"), 50000, 22)
    assert facts.ssh_host_key == sha256(HOST_KEY).hexdigest()


def test_banners_alone_are_facts_but_no_service() -> None:
    facts = tcp(b"SSH-2.0-probe\r\n", b"SSH-2.0-dropbear\r\n", 50000, 22)
    assert (facts.services, facts.ssh_client, facts.ssh_server) == ([], "SSH-2.0-probe", "SSH-2.0-dropbear")
    assert facts.ssh_host_key is None


def test_a_server_that_talks_before_its_banner() -> None:
    facts = tcp(CLIENT, b"Welcome,\r\nstranger\r\n" * 60 + SERVER, 50000, 22)
    assert facts.services == ["ssh"]
    assert facts.ssh_server == "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5"


@pytest.mark.parametrize(
    ("client", "server"), [(CLIENT, b""), (b"", SERVER), (b"SSH-2.0-" + b"x" * 400, SERVER), (b"SSH-x\r\n", SERVER)]
)
def test_one_side_alone_is_no_ssh(client: bytes, server: bytes) -> None:
    assert tcp(client, server, 50000, 22).services == []


def test_a_packet_with_a_lying_length_ends_it() -> None:
    banner = SERVER[: SERVER.index(b"\n") + 1]
    facts = tcp(b"SSH-2.0-x\r\n", banner + b"\xff\xff\xff\xff\4\x15" + bytes(40), 50000, 22)
    assert facts.services == []


def test_chisel_names_itself_inside_a_websocket_and_is_no_ssh_to_zeek() -> None:
    asked = b"GET / HTTP/1.1\r\nHost: 203.0.113.9\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    granted = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    banner = b"SSH-chisel-v3-server\r\n"
    masked = b"\x82\x96\0\0\0\0SSH-chisel-v3-client\r\n"
    facts = tcp(asked + masked, granted + bytes((0x82, len(banner))) + banner, 50000, 8080)
    assert facts.services == ["http", "websocket"]
    assert facts.ssh_server == "SSH-chisel-v3-server"


def test_an_endless_chisel_banner_is_cut() -> None:
    facts = tcp(CLIENT, b"SSH-chisel-v3-" + b"x" * 9000, 50000, 8080)
    assert facts.ssh_server is not None
    assert len(facts.ssh_server) <= 257
