"""Each other service by its content: what confirms it, and a look-alike that must not."""

from __future__ import annotations

from struct import pack

import pytest

from hopscope.sensor.dissect import tcp, udp
from support.messages import dns, name, resource, sized

SMTP = (
    b"EHLO me.example\r\nMAIL FROM:<a@b>\r\n",
    b"220 mx.example ESMTP\r\n250-mx.example\r\n250 STARTTLS\r\n250 ok\r\n",
)
FTP = (b"USER anonymous\r\nPASS x\r\n", b"220-hello\r\nthere\r\n220 ready\r\n331 word?\r\n230 in\r\n")
POP3 = (b"CAPA\r\nUSER bob\r\n", b"+OK ready\r\n+OK\r\nTOP\r\nUIDL\r\n.\r\n+OK\r\n")
IMAP = (b"a1 CAPABILITY\r\n", b"* OK IMAP4rev1 ready\r\n* CAPABILITY IMAP4rev1\r\na1 OK done\r\n")
IRC = (b"NICK bob\r\nUSER bob 0 * :Bob\r\n", b":irc.example NOTICE * :hi\r\n:irc.example 001 bob :Welcome\r\n")
XMPP = (b"<?xml version='1.0'?><stream:stream to='x' xmlns='jabber:client'>", b"<stream:stream>")
GREETING = b"\x0a8.0.36\0" + bytes(40)
LOGIN = pack("<I", 0x0003A685) + bytes(28) + b"root\0\0"
MYSQL = (pack("<I", len(LOGIN))[:3] + b"\1" + LOGIN, pack("<I", len(GREETING))[:3] + b"\0" + GREETING)
MQTT = (b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4name", b"\x20\2\0\0")
RFB = (b"RFB 003.008\n", b"RFB 003.008\n\1\2")
KRB = b"\x6a\x20\x30\x1e\xa1\3\2\1\5\xa2\3\2\1\x0a\xa4\x12" + bytes(18)
SMB = sized(4, b"\xfeSMB" + bytes(64))
RPC = b"\5\0\x0b\3\x10\0\0\0" + pack("<HHI", 72, 0, 1) + bytes(56)
RDP_REQUEST = b"\3\0\0\x13\x0e\xe0\0\0\0\0\0\1\0\x08\0\3\0\0\0"
RDP_PLAIN = b"\3\0\0\x0b\6\xd0\0\0\x12\x34\0"
MODBUS = b"\0\1\0\0\0\6\1\3\0\0\0\1"


@pytest.mark.parametrize(
    ("client", "server", "port", "services"),
    [
        (*SMTP, 2525, ["smtp"]),
        (SMTP[0], b"", 25, ["smtp"]),
        (SMTP[0], b"", 2525, []),  # one side alone, away from its port
        (b"", SMTP[1], 25, []),  # no command
        (SMTP[0], b"220 hi\r\nnot a code\r\n", 25, []),
        (*FTP, 2121, ["ftp"]),
        (b"USER a\r\n", b"", 21, ["ftp"]),
        (b"USER a\r\n", b"220 hi\r\nwhat?\r\n", 21, []),
        (b"\1\2\r\n", FTP[1], 21, []),
        (*POP3, 1110, ["pop3"]),
        (b"PASS x\r\nUSER b\r\n", b"+OK hi\r\n-ERR\r\n-ERR\r\n", 110, []),  # nothing was granted
        (b"USER b\r\n", b"+OK hi\r\nwhat\r\n", 110, []),
        (*IMAP, 1143, ["imap"]),
        (b"", IMAP[1], 143, ["imap"]),
        (b"", IMAP[1], 1143, []),
        (*IRC, 16667, ["irc"]),
        (IRC[0], b"", 6667, ["irc"]),
        (IRC[0], b"", 16667, []),
        (IRC[0], b"12 wrong\r\n", 6667, []),
        (*XMPP, 15222, ["xmpp"]),
        (*MYSQL, 3306, ["mysql"]),
        (MYSQL[0], b"", 3306, []),
        (MYSQL[0][:20], MYSQL[1], 3306, []),  # the login isn't whole
        (*MQTT, 11883, ["mqtt"]),
        (MQTT[0][:-1], b"", 1883, []),
        (b"\x10\xff\xff\xff\xff\xff\1\0\4MQTT", b"", 1883, []),  # a length without end
        (*RFB, 15900, ["rfb"]),
        (b"", RFB[1], 5900, []),
        (sized(4, KRB), b"", 88, ["krb_tcp"]),
        (b"", sized(4, KRB), 1088, ["krb_tcp"]),
        (sized(4, KRB[:4] + b"\xff" * 30), b"", 88, []),
        (SMB * 2, SMB, 445, ["smb"]),
        (SMB, SMB, 445, []),  # Zeek wants three
        (RPC, b"", 135, ["dce_rpc"]),
        (RPC[:40], b"", 135, []),
        (RDP_REQUEST + b"\3\0\1\0\2\xf0\x80\x7f\x65" + b"Duca" + bytes(40), RDP_PLAIN, 3389, ["rdp"]),
        (RDP_REQUEST, RDP_PLAIN, 3389, []),
        (MODBUS, MODBUS, 502, ["modbus"]),
        (MODBUS, MODBUS, 1502, []),
        (sized(2, dns("a.example")), b"", 53, ["dns"]),
        (sized(2, dns("a.example")), sized(2, dns("a.example", 1, (resource(1, bytes(4)),))), 5300, ["dns"]),
        (sized(2, dns("a.example")), sized(2, dns("b.example", flags=0x8180)), 5300, []),
        (sized(2, dns("a.example")), b"", 5300, []),
        (b"\0\0\0\0 nothing known", b"\xff\xfb\1", 4444, []),
        (b"", b"", 443, []),
    ],
)
def test_tcp(client: bytes, server: bytes, port: int, services: list[str]) -> None:
    assert tcp(client, server, 50000, port).services == services


def test_smb_with_what_it_carries() -> None:
    spnego = b"\x60\x20\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x10"
    message = sized(4, b"\xfeSMB" + bytes(60) + spnego + b"NTLMSSP\0" + bytes(20))
    assert tcp(message * 3, SMB, 50000, 445).services == ["gssapi", "smb", "ntlm"]


def test_dnp3_needs_its_checksum() -> None:
    good = bytes.fromhex("056405c001000004e921")
    assert udp([good], [], 50000, 20000).services == ["dnp3_udp"]
    assert tcp(b"", good, 50000, 20000).services == ["dnp3_tcp"]
    assert udp([good[:-1] + b"\0"], [], 50000, 20000).services == []


NTP = b"\x23\2\6\xe9" + bytes(44)
OPTIONS = b"\x35\1\1\x37\2\1\3\xff"
DHCP = b"\1\1\6\0" + bytes(232) + b"\x63\x82\x53\x63" + OPTIONS
SNMP = bytes.fromhex("302602010004067075626c6963a019020101020100020100300e300c06082b060102010101000500")
SIP = b"INVITE sip:bob@example.org SIP/2.0\r\nVia: x\r\n\r\n"
RINGING = b"SIP/2.0 180 Ringing\r\nVia: x\r\n\r\n"
IPV6 = b"\x60\0\0\0\0\4\x3b\x15" + bytes(36)
RADIUS = b"\1\7\0\x19" + bytes(16) + b"\1\5bob"


@pytest.mark.parametrize(
    ("orig", "resp", "port", "services"),
    [
        ([dns("a.example")], [], 53, ["dns"]),
        ([dns("a.example")[:20]], [], 53, []),
        ([dns("a.example")], [dns("a.example", 1, (resource(1, bytes(4)),))], 5300, ["dns"]),
        ([dns("a.example")], [], 5300, []),
        ([dns("a.local")], [], 5353, ["dns"]),
        ([NTP], [b"\x24" + NTP[1:]], 123, ["ntp"]),
        ([NTP[:40]], [], 123, []),
        ([NTP], [], 1123, []),
        ([DHCP], [], 67, ["dhcp"]),
        ([DHCP[:-8] + b"\xff"], [], 67, []),  # no message type
        ([DHCP[:-1]], [], 67, []),  # no end
        ([DHCP, b"\1" + bytes(300)], [], 67, []),  # one message breaks the form
        ([SNMP], [SNMP], 161, ["snmp"]),
        ([SNMP], [], 161, []),
        ([KRB], [], 88, ["krb"]),
        ([SIP], [RINGING], 15060, ["sip"]),
        ([SIP], [], 5060, []),
        ([RADIUS], [], 1812, ["radius"]),
        ([RADIUS + b"\0"], [], 1812, []),
        ([b"\x08" + bytes(60)], [], 4789, ["vxlan"]),
        ([b"\0\0\x65\x58" + bytes(60)], [], 6081, ["geneve"]),
        ([b"\x30\xff" + bytes(60)], [], 2152, ["gtpv1"]),
        ([IPV6], [b"\0\0" + bytes(6) + IPV6], 3544, ["teredo"]),
        ([IPV6], [], 3544, []),  # Zeek wants both directions
        ([IPV6 + b"\0"], [IPV6], 3544, []),
        ([b"anything"], [b"else"], 4444, []),
        ([b""], [b""], 53, []),
        ([], [], 53, []),
    ],
)
def test_udp(orig: list[bytes], resp: list[bytes], port: int, services: list[str]) -> None:
    assert udp(orig, resp, 50000, port).services == services


@pytest.mark.parametrize(
    ("first", "port", "flipped"),
    [
        (dns("a.example", 12, (resource(12, name("b.example")),)), 5353, True),
        (dns("a.example"), 53, False),
        (b"\x24" + NTP[1:], 123, True),
        (NTP, 123, False),
    ],
)
def test_an_answer_that_comes_first_means_wrong_ends(first: bytes, port: int, flipped: bool) -> None:
    assert udp([first], [], port, port).flipped is flipped
