"""Writes docs/records.md from the place that defines the records: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from hopscope import records
from hopscope.sources import zeek_logs

PAGE = Path(__file__).with_name("records.md")

# What Zeek's package fills only under an option (docs/zeek.md tells each option's cost); the rest it always fills.
OPTIONS = {
    "finished_rtt": "`finished_times`",
    "close_rtt": "`close_times`; a FIN that a FIN answers",
    "reply_p10": "HTTP; TLS with `tls_records`; SSH, SOCKS and unknown protocols with `session_payloads`",
    "replies": "HTTP; TLS with `tls_records`; SSH, SOCKS and unknown protocols with `session_payloads`",
    "first_reply": "TCP",
    "first_speaker": "TCP",
    "pause": "TCP",
    "first_len": "TCP",
    **dict.fromkeys(
        ("first_bits", "first_printable", "first_run", "first_head_printable"),
        "TCP of unknown protocol with `shapes`; of any with `shapes_of_known`",
    ),
    "tls_sizes": "`tls_records`",
    "ja4": "`tls_fingerprints`",
    "server_hello": "`tls_fingerprints`",
    "on_starts": "`on_starts`",
    **dict.fromkeys(
        ("seg", "seg_end", "final", "seg_orig_bytes", "seg_resp_bytes", "seg_orig_pkts", "seg_resp_pkts"),
        "yes; more than one segment with `segments`",
    ),
}


def page() -> Iterator[str]:
    """The lines of docs/records.md."""
    yield "# The records"
    yield ""
    yield "Written by `make docs` from `analyzer/hopscope/records.py`, which defines the records; change them there."
    yield ""
    yield "`hopscope records INPUT` prints them as JSON Lines: `kind` is `connection`, `dns_query` or `host_event`,"
    yield "times are epoch seconds, what a source can't know is null. A connection that lives long is told in segments:"
    yield "totals run from its start, `seg_` fields are the segment's own, `final` marks the last one."
    yield ""
    yield from records.markdown()
    yield "## What each source fills"
    yield ""
    yield "The built-in sensor fills every field that the traffic gives it: it sees all packets. Zeek with hopscope's"
    yield "package (its logs and its stream alike) tells the same values; what needs an event for each packet or record"
    yield "stands behind an option, or is told of some protocols alone. Plain logs are conn, dns, ssl, x509, http, ssh"
    yield "and socks, joined; a log that is missing takes its fields with it. Host events come from Windows' own logs"
    yield "alone; [host-events.md](host-events.md) says which field of each export fills which column."
    yield ""
    for kind, fields, plain in zip(
        ("Connection", "DnsQuery"), (records.CONNECTION, records.DNS_QUERY), zeek_logs.filled(), strict=True
    ):
        yield f"| {kind} | built-in sensor | Zeek with the package | plain Zeek logs |"
        yield "| --- | --- | --- | --- |"
        for field in fields:
            option = OPTIONS.get(field.name, "yes") if kind == "Connection" else "yes"
            yield f"| `{field.name}` | yes | {option} | {'yes' if field.name in plain else ''} |"
        yield ""


def main() -> None:
    """Write the page."""
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
