"""The records: the single place that defines their names, Arrow types, units and meaning.

Sources yield Arrow record batches of `CONNECTION_SCHEMA`, `DNS_QUERY_SCHEMA` and `HOST_EVENT_SCHEMA`. Durations are
seconds as float64, times are UTC in microseconds, sizes are payload bytes unless the name says `ip_bytes`;
what a source can't know is null, never 0 or "-".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

TIME = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
TEXTS = pa.list_(pa.string())
COUNT = pa.int64()
SECONDS = pa.float64()
FLAG = pa.bool_()

SEGMENT_SECONDS = 300  # a connection that lives long is told in segments on this grid from its start


class Field(NamedTuple):
    """One column of a record: its name, Arrow type, unit ("" when it has none) and meaning."""

    name: str
    type: pa.DataType
    unit: str
    doc: str


CONNECTION: tuple[Field, ...] = (
    # identity
    Field("ts", TIME, "", "first packet of the connection"),
    Field("uid", TEXT, "", "unique and reproducible: the same capture gives the same uid"),
    Field("sensor", TEXT, "", "name of the sensor that saw it"),
    Field("orig_h", TEXT, "", "originator's address"),
    Field("orig_p", pa.int32(), "", "originator's port; ICMP: the type"),
    Field("resp_h", TEXT, "", "responder's address"),
    Field("resp_p", pa.int32(), "", "responder's port; ICMP: the code, or the type of the counterpart"),
    Field("proto", TEXT, "", "tcp, udp, icmp or unknown_transport"),
    Field("service", TEXT, "", "application protocols by content, comma-separated, outer first; null when none"),
    Field("local_orig", FLAG, "", "the originator lies in the monitored networks"),
    Field("local_resp", FLAG, "", "the responder lies in the monitored networks"),
    Field("tunnel_parents", TEXTS, "", "uids of the enclosing tunnels, outermost first; null outside tunnels"),
    Field("seg", pa.int32(), "", "number of the segment on the 5-minute grid from ts, 0 for the first"),
    Field("seg_end", TIME, "", "end of this segment: the grid's, or the last packet where the connection ends"),
    Field("final", FLAG, "", "this is the connection's last segment"),
    # volume and state, totals from the start of the connection to the end of this segment
    Field("duration", SECONDS, "s", "first to last packet; null with a single packet"),
    Field("orig_bytes", COUNT, "bytes", "payload from the originator; null when unknown"),
    Field("resp_bytes", COUNT, "bytes", "payload from the responder; null when unknown"),
    Field("orig_pkts", COUNT, "packets", "packets from the originator"),
    Field("resp_pkts", COUNT, "packets", "packets from the responder"),
    Field("orig_ip_bytes", COUNT, "bytes", "IP bytes from the originator, headers included"),
    Field("resp_ip_bytes", COUNT, "bytes", "IP bytes from the responder, headers included"),
    Field("missed_bytes", COUNT, "bytes", "payload that the sensor did not see"),
    Field("conn_state", TEXT, "", "S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR or OTH, as Zeek's"),
    Field("history", TEXT, "", "state history letters, as Zeek's"),
    # the part of the volume that falls into this segment
    Field("seg_orig_bytes", COUNT, "bytes", "orig_bytes of this segment alone"),
    Field("seg_resp_bytes", COUNT, "bytes", "resp_bytes of this segment alone"),
    Field("seg_orig_pkts", COUNT, "packets", "orig_pkts of this segment alone"),
    Field("seg_resp_pkts", COUNT, "packets", "resp_pkts of this segment alone"),
    # timing
    Field("tcp_rtt", SECONDS, "s", "SYN to SYN-ACK, the way to the hop; null when a SYN was retransmitted"),
    Field("client_rtt", SECONDS, "s", "SYN-ACK to ACK, our own side"),
    Field("hello_rtt", SECONDS, "s", "ClientHello to ServerHello"),
    Field("finished_rtt", SECONDS, "s", "TLS client's Finished (its first encrypted handshake flight) to the responder's next TLS record: its Finished or a session ticket; the way to TLS's end without a dial; null when there is none or the client retransmitted"),
    Field("first_reply", SECONDS, "s", "first originator payload to first responder payload; null when the responder spoke first"),
    Field("reply_p10", SECONDS, "s", "10th percentile of the later replies' times; null without any"),
    Field("replies", COUNT, "replies", "number of later replies; handshake tail and session tickets excluded"),
    Field("close_rtt", SECONDS, "s", "originator's FIN to the first payload or FIN that answers it; null when the responder closed first or the FIN was sent again"),
    Field("pause", SECONDS, "s", "ACK of the handshake to the first originator payload"),
    Field("first_speaker", TEXT, "", "orig or resp: who sent payload first; null without payload"),
    # shape
    Field("first_len", COUNT, "bytes", "length of the first originator payload"),
    Field("first_bits", pa.float64(), "bits/byte", "mean of set bits per byte of the first originator payload"),
    Field("first_printable", pa.float64(), "fraction", "share of printable ASCII in the first originator payload"),
    Field("first_run", COUNT, "bytes", "longest run of printable ASCII in the first originator payload"),
    Field("first_head_printable", FLAG, "", "the first six bytes of the first originator payload are printable ASCII"),
    Field("tls_sizes", pa.list_(pa.int32()), "bytes", "sizes of the first 25 TLS records after the handshake; from the responder negative"),
    # who answers
    Field("sni", TEXT, "", "server name the TLS or QUIC client asked for"),
    Field("alpn", TEXT, "", "application protocol the server chose, else the client's first offer"),
    Field("tls_version", TEXT, "", "TLSv10 to TLSv13, SSLv3; the negotiated version"),
    Field("ja4", TEXT, "", "JA4 fingerprint of the TLS client"),
    Field("server_hello", TEXT, "", "ServerHello as version,cipher,extensions in order (hexadecimal, extensions joined by -)"),
    Field("cert_subject", TEXT, "", "subject of the server's certificate (RFC 4514)"),
    Field("cert_issuer", TEXT, "", "issuer of the server's certificate (RFC 4514)"),
    Field("cert_sha256", TEXT, "", "SHA-256 of the server's certificate, hexadecimal"),
    Field("cert_self_signed", FLAG, "", "subject and issuer of the certificate are equal"),
    Field("resumed", FLAG, "", "the TLS session was resumed"),
    Field("ssh_client", TEXT, "", "SSH client's banner"),
    Field("ssh_server", TEXT, "", "SSH server's banner"),
    Field("ssh_host_key", TEXT, "", "SHA-256 of the SSH server's host key, hexadecimal"),
    Field("http_host", TEXT, "", "Host of the first HTTP request"),
    Field("http_method", TEXT, "", "method of the first HTTP request"),
    Field("user_agent", TEXT, "", "User-Agent of the first HTTP request"),
    # proxying
    Field("proxy_protocol", TEXT, "", "socks4, socks5 or http-connect, when the client asked the responder to relay"),
    Field("proxy_target", TEXT, "", "host:port the client asked the proxy for"),
    Field("proxy_accepted", FLAG, "", "the proxy granted the request; null when its answer wasn't seen"),
    Field("leaked_far_end", TEXT, "", "host:port of the far end that a relay named in clear"),
    # rhythm
    Field("on_starts", pa.list_(pa.float64()), "s", "times from ts at which payload resumed after 0.5 s of silence; from the responder negative; of this segment"),
)  # fmt: skip

DNS_QUERY: tuple[Field, ...] = (
    Field("ts", TIME, "", "time of the query (of the answer when the query wasn't seen)"),
    Field("uid", TEXT, "", "uid of the connection that carried it"),
    Field("sensor", TEXT, "", "name of the sensor that saw it"),
    Field("client", TEXT, "", "address that asked"),
    Field("resolver", TEXT, "", "address that was asked"),
    Field("query", TEXT, "", "name asked for, as sent, without the final dot"),
    Field("qtype", TEXT, "", "type asked for: A, AAAA, PTR ..."),
    Field("rcode", TEXT, "", "NOERROR, NXDOMAIN ...; null when unanswered"),
    Field("answers", TEXTS, "", "answers in order, as Zeek writes them; null when none"),
    Field("ttls", pa.list_(pa.float64()), "s", "time to live of each answer; null when none"),
    Field("rtt", SECONDS, "s", "query to answer; null when unanswered"),
)

HOST_EVENT_IDS = {"sysmon": frozenset({3, 22}), "security": frozenset({5156, 5157})}
"""By provider the numbers of the events that are read."""
PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmp"}
"""Names of transport protocols by their number, as `proto` has them."""

HOST_EVENT: tuple[Field, ...] = (
    Field("ts", TIME, "", "when it happened: Sysmon's UtcTime, else when it was written"),
    Field("provider", TEXT, "", "sysmon or security"),
    Field("event_id", pa.int32(), "", "3 and 22 of Sysmon (connection, DNS query), 5156 and 5157 of Security (connection permitted, blocked)"),
    Field("record", COUNT, "", "the event's record number in its log; null when the export has none"),
    Field("host", TEXT, "", "computer that wrote it"),
    # who
    Field("process", TEXT, "", "path of the program, as written"),
    Field("pid", COUNT, "", "process id"),
    Field("process_guid", TEXT, "", "Sysmon's ProcessGuid; null in Security"),
    Field("user", TEXT, "", "account, as DOMAIN\\name; null in Security"),
    # the connection; null in Sysmon 22
    Field("proto", TEXT, "", "tcp, udp, icmp, or the protocol's number"),
    Field("initiated", FLAG, "", "the process opened the connection; false: it accepted it"),
    Field("src_h", TEXT, "", "source address, in the shortest form"),
    Field("src_p", pa.int32(), "", "source port"),
    Field("src_name", TEXT, "", "source's host name, where the event has one"),
    Field("dst_h", TEXT, "", "destination address, in the shortest form"),
    Field("dst_p", pa.int32(), "", "destination port"),
    Field("dst_name", TEXT, "", "destination's host name, where the event has one"),
    Field("filter_origin", TEXT, "", "Security's FilterOrigin, such as AppContainer Loopback"),
    # the query; null elsewhere
    Field("query", TEXT, "", "name asked for, without the final dot"),
    Field("query_status", TEXT, "", "QueryStatus, 0 when it was answered"),
    Field("query_results", TEXT, "", "QueryResults, as written"),
)  # fmt: skip


def schema(fields: tuple[Field, ...]) -> pa.Schema:
    """The Arrow schema of a record type."""
    return pa.schema([pa.field(f.name, f.type) for f in fields])


CONNECTION_SCHEMA = schema(CONNECTION)
DNS_QUERY_SCHEMA = schema(DNS_QUERY)
HOST_EVENT_SCHEMA = schema(HOST_EVENT)
NO_CONNECTIONS = pa.RecordBatch.from_pylist([], CONNECTION_SCHEMA)
NO_DNS_QUERIES = pa.RecordBatch.from_pylist([], DNS_QUERY_SCHEMA)
NO_HOST_EVENTS = pa.RecordBatch.from_pylist([], HOST_EVENT_SCHEMA)


@dataclass(frozen=True)
class Batch:
    """What a source yields at a time: records of each kind, each may have no rows."""

    connections: pa.RecordBatch = field(default_factory=lambda: NO_CONNECTIONS)
    dns_queries: pa.RecordBatch = field(default_factory=lambda: NO_DNS_QUERIES)
    host_events: pa.RecordBatch = field(default_factory=lambda: NO_HOST_EVENTS)


@dataclass
class InputCount:
    """What a source read, told on with the findings: nothing is lost in silence."""

    packets: int = 0
    connections: int = 0
    dns_queries: int = 0
    host_events: int = 0
    refused: int = 0  # packets or rows that could not be understood
    passed_over: int = 0  # events of kinds that aren't used
    missing: int = 0  # records that a stream counted and that never came
    lacks: frozenset[str] | None = None  # fields of Connection that none of the inputs can fill; None before any
    inputs: int = 0  # files read to the end or to their damage
    problems: list[str] | None = None  # one line each: place, problem, remedy

    def fills(self, fields: Iterable[str]) -> None:
        """Tell what an input can fill of Connection; the others are lacking unless another input has them."""
        lacking = frozenset(CONNECTION_SCHEMA.names).difference(fields)
        self.lacks = lacking if self.lacks is None else self.lacks & lacking

    def took(self, batch: Batch) -> None:
        """Count the records of a batch; a connection counts with its first segment."""
        self.connections += pc.sum(pc.equal(batch.connections["seg"], 0)).as_py() or 0
        self.dns_queries += batch.dns_queries.num_rows
        self.host_events += batch.host_events.num_rows

    def note(self, problem: str) -> None:
        """Add one line about something that could not be read."""
        self.problems = [*(self.problems or []), problem]


def markdown() -> Iterator[str]:
    """The lines of docs/records.md's tables."""
    for title, fields in (("Connection", CONNECTION), ("DnsQuery", DNS_QUERY), ("HostEvent", HOST_EVENT)):
        yield f"## {title}"
        yield ""
        yield "| field | type | unit | meaning |"
        yield "| --- | --- | --- | --- |"
        for f in fields:
            yield f"| `{f.name}` | {f.type} | {f.unit} | {f.doc} |"
        yield ""
