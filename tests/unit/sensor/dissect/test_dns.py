"""DNS messages: known answers as Zeek writes them, names that lie, and anything at all."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hopscope.sensor.dissect.dns import MAX_QUESTIONS, parse
from hopscope.sensor.dissect.dnsnames import MAX_NAME, read_name
from support.messages import dns as message
from support.messages import name, question, resource, sized


def test_a_query() -> None:
    read = parse(message("Www.Example.ORG", 28))
    assert read is not None
    assert (read.query, read.qtype, read.response, read.whole) == ("Www.Example.ORG", "AAAA", False, True)
    assert (read.id, read.opcode, read.answers, read.owner) == (4660, 0, [], None)


def test_a_response_with_its_answers_in_order() -> None:
    answers = (
        resource(5, name("edge.example.net"), 60),
        resource(1, bytes((192, 0, 2, 7)), 30, name("Edge.Example.net")),
    )
    read = parse(message("www.example.org", 1, answers))
    assert read is not None
    assert read.response
    assert (read.answers, read.ttls) == (["edge.example.net", "192.0.2.7"], [60.0, 30.0])
    assert (read.rcode, read.owner, read.whole) == ("NOERROR", "www.example.org", True)


@pytest.mark.parametrize(
    ("kind", "data", "written"),
    [
        (1, bytes((198, 51, 100, 255)), "198.51.100.255"),
        (28, bytes.fromhex("20010db8000000000000000000000001"), "2001:db8::1"),
        (28, bytes.fromhex("00000000000000000000ffffc0000201"), "192.0.2.1"),  # IPv4-mapped
        (2, name("NS1.example.org"), "ns1.example.org"),
        (12, name("host.example.org"), "host.example.org"),
        (15, b"\0\x0a" + name("mx.example.org"), "mx.example.org"),
        (33, pack(">HHH", 1, 2, 443) + name("srv.example.org"), "srv.example.org"),
        (6, name("ns.example.org") + name("admin.example.org") + bytes(20), "ns.example.org"),
        (16, sized(1, b"v=spf1 -all") + sized(1, b"second"), "TXT 11 v=spf1 -all TXT 6 second"),
        (16, sized(1, b"tab\there"), r"TXT 8 tab\x09here"),
        (99, sized(1, b"v=spf1"), "SPF 6 v=spf1"),
        (
            35,
            pack(">HH", 10, 20) + b"\1u\7E2U+sip\0" + name("sip.example.org"),
            "NAPTR 10 20 u E2U+sip sip.example.org",
        ),
        (43, pack(">HBB", 60485, 5, 1) + bytes(20), "DS 5 1"),
        (44, b"\1\1" + bytes.fromhex("a6b9"), "SSHFP: a6b9"),
        (46, pack(">HBBIIIH", 1, 8, 2, 0, 0, 0, 7) + name("Example.org") + bytes(16), "RRSIG 1 example.org"),
        (46, pack(">HBBIIIH", 48, 8, 0, 0, 0, 0, 7) + b"\0" + bytes(16), "RRSIG 48 <Root>"),
        (47, name("next.example.org") + b"\0\1\x40", "NSEC www.example.org next.example.org"),
        (48, pack(">HBB", 257, 3, 8) + bytes(32), "DNSKEY 8"),
        (50, bytes(8), "NSEC3"),
        (51, bytes(6), "NSEC3PARAM"),
        (29, bytes((0, 18, 22, 19)) + bytes(12), "LOC:  18 22 19"),
        (65534, bytes(5), "BIND9 signing signal"),
        (9999, b"abc", "<unknown type=9999>"),
    ],
)
def test_answers_are_written_as_zeek_writes_them(kind: int, data: bytes, written: str) -> None:
    read = parse(message("www.example.org", kind, (resource(kind, data),)))
    assert read is not None
    assert (read.answers, read.whole) == ([written], True)


@pytest.mark.parametrize("kind", [13, 64, 65, 249, 257])  # HINFO, SVCB, HTTPS, TKEY, CAA
def test_types_that_zeek_logs_no_answer_for_give_none(kind: int) -> None:
    read = parse(message("www.example.org", kind, (resource(kind, bytes(24)), resource(1, bytes(4)))))
    assert read is not None
    assert (read.answers, read.whole) == (["0.0.0.0"], True)


@pytest.mark.parametrize(("code", "called"), [(1, "A"), (65, "HTTPS"), (255, "*"), (252, "AXFR"), (54, "query-54")])
def test_query_types_have_zeeks_names(code: int, called: str) -> None:
    read = parse(message("a.example", code))
    assert read is not None
    assert read.qtype == called


def test_a_refusal_has_its_code_and_no_answers() -> None:
    read = parse(message("nowhere.example", 1, flags=0x8183))
    assert read is not None
    assert (read.rcode, read.response, read.answers) == ("NXDOMAIN", True, [])


def test_netbios_names_are_decoded() -> None:
    coded = "".join(chr(0x41 + (byte >> 4)) + chr(0x41 + (byte & 15)) for byte in b"WPAD" + b" " * 12)
    read = parse(message(coded, 33), port=137)
    assert read is not None
    assert (read.query, read.qtype) == ("WPAD", "NBSTAT")


def test_the_root_is_an_empty_name() -> None:
    read = parse(message("", 2, (resource(2, name("a.root-servers.net")),)))
    assert read is not None
    assert (read.query, read.answers) == ("", ["a.root-servers.net"])


@pytest.mark.parametrize("opcode", [4, 5])
def test_other_opcodes_are_not_followed(opcode: int) -> None:
    assert parse(message("a.example", flags=opcode << 11)) is None


@pytest.mark.parametrize(("questions", "known"), [(MAX_QUESTIONS, True), (MAX_QUESTIONS + 1, False)])
def test_too_many_questions_are_no_dns(questions: int, known: bool) -> None:
    data = pack(">HHHHHH", 1, 0, questions, 0, 0, 0) + question("a.example") * questions
    assert (parse(data) is not None) is known


def test_what_precedes_damage_is_kept() -> None:
    good = resource(1, bytes((192, 0, 2, 1)))
    read = parse(message("a.example", 1, (good, resource(1, b"\1\2\3"), good)))
    assert read is not None
    assert (read.answers, read.whole) == (["192.0.2.1"], False)


@pytest.mark.parametrize(
    "loop",
    [
        b"\xc0\x0c",  # to itself
        b"\1a\xc0\x0c",  # to its own start
        b"\xc0\x0e\xc0\x0c",  # each to the other
        b"\xc0\xff",  # forwards, past the end
    ],
)
def test_a_name_that_loops_ends(loop: bytes) -> None:
    read = parse(bytes(4) + b"\0\1" + bytes(6) + loop + pack(">HH", 1, 1))
    assert read is not None
    assert len(read.query or "") <= 4


def test_a_chain_of_pointers_is_cut() -> None:
    chain = b"\1x\0" + b"".join(pack(">H", 0xC000 | (0 if i == 0 else 3 + 2 * (i - 1))) for i in range(40))
    assert read_name(chain, 3 + 2 * 10)[0] == b"x"
    assert read_name(chain, 3 + 2 * 39)[0] == b""  # more than the 20 jumps that are followed


@given(st.binary(max_size=300), st.integers(0, 310), st.booleans())
def test_names_are_bounded(data: bytes, pos: int, netbios: bool) -> None:
    read, end = read_name(data, pos, netbios)
    assert len(read) <= MAX_NAME
    assert end >= pos


VALID = message(
    "www.example.org",
    16,
    (
        resource(16, sized(1, b"text")),
        resource(6, name("ns.example.org") + b"\xc0\x0c" + bytes(20)),
        resource(35, pack(">HH", 1, 2) + b"\1u\0\0" + b"\xc0\x0c"),
        resource(46, bytes(18) + b"\xc0\x0c" + bytes(9)),
    ),
)


@pytest.mark.parametrize("length", range(len(VALID)))
def test_a_message_cut_anywhere_is_no_error(length: int) -> None:
    read = parse(VALID[:length])
    assert read is None or not read.whole


@given(st.integers(0, len(VALID) - 1), st.binary(min_size=1, max_size=8), st.sampled_from([53, 137, 5353]))
def test_a_message_changed_anywhere_is_no_error(at: int, change: bytes, port: int) -> None:
    read = parse(VALID[:at] + change + VALID[at + len(change) :], port)
    assert read is None or len(read.answers) == len(read.ttls) <= 512


@given(st.binary(max_size=400), st.sampled_from([53, 137]))
@example(b"\xff" * 400, 53)
def test_anything_is_no_error(data: bytes, port: int) -> None:
    read = parse(data, port)
    assert read is None or all(answer.isprintable() for answer in read.answers)
