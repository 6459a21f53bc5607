"""What passes between the stages of the sensor: packets as columns.

containers (files) -> Chunk -> decode (headers) -> Packets -> track (connections) -> records
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Chunk:
    """A run of raw packets of one file, in the file's order.

    `data` holds the bytes; packet i is data[offset[i] : offset[i] + caplen[i]]. `ts` is nanoseconds
    since the epoch (UTC), `wirelen` the length on the wire, `link` the link type (LINKTYPE_ numbers).
    `file_offset` is each packet's position in the (unpacked) file, for messages.
    """

    data: NDArray[np.uint8]
    offset: NDArray[np.int64]
    caplen: NDArray[np.int32]
    wirelen: NDArray[np.int32]
    ts: NDArray[np.int64]
    link: NDArray[np.int32]
    file_offset: NDArray[np.int64]


@dataclass(frozen=True)
class Packets:
    """Decoded headers, one row per IP packet (a tunnelled packet gives a row per layer, outer first).

    Addresses are 128 bits in two halves (IPv4 in the low 32 bits of `_lo`, `_hi` 0, `version` 4).
    `payload_off` points into `data`; `payload_cap` of its bytes were captured, `payload_len` were on
    the wire (by the headers). `ip_bytes` is the IP packet's length by its header. TCP columns are 0 for
    others; ICMP has type and code in `sport` and `dport`. `outer` is the row of the enclosing packet,
    -1 outside tunnels; `carrier` marks a row that only carries an inner packet by IP itself (IP-in-IP,
    GRE) and is no connection. `bad_checksum` is only set when checksums are asked for.
    Rows of other network protocols, and packets too short for their headers, are left out and counted.
    """

    data: NDArray[np.uint8]
    ts: NDArray[np.int64]  # nanoseconds
    version: NDArray[np.uint8]  # 4 or 6
    src_hi: NDArray[np.uint64]
    src_lo: NDArray[np.uint64]
    dst_hi: NDArray[np.uint64]
    dst_lo: NDArray[np.uint64]
    proto: NDArray[np.uint8]  # IP protocol number after extension headers
    sport: NDArray[np.uint16]
    dport: NDArray[np.uint16]
    ip_bytes: NDArray[np.int32]
    payload_off: NDArray[np.int64]
    payload_cap: NDArray[np.int32]
    payload_len: NDArray[np.int32]
    seq: NDArray[np.uint32]
    ack: NDArray[np.uint32]
    flags: NDArray[np.uint8]  # TCP flags: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32
    window: NDArray[np.uint16]
    outer: NDArray[np.int32]
    carrier: NDArray[np.bool_]
    bad_checksum: NDArray[np.bool_]
    refused: int  # packets of the chunk that gave no row
