"""SMB 1 to 3 and DCE/RPC, with the security mechanisms they carry (SPNEGO, NTLM, Kerberos)."""

from __future__ import annotations

from hopscope.sensor.dissect.step import Step

PORTS = frozenset((139, 445))
MAGIC = (b"\xffSMB", b"\xfeSMB", b"\xfdSMB")
MAX_CHUNKS = 64
SEGMENT = 1460  # bytes that one segment carries at most, as a rule
CONFIRMING = 3  # segments without a fault that Zeek wants of SMB

_SPNEGO = b"\x06\x06\x2b\x06\x01\x05\x05\x02"
_KERBEROS = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"
_PIPE_RPC = b"\x05\x00\x0b"  # a bind, as it goes through a named pipe


def smb(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """SMB by the names of its messages inside NetBIOS session frames; three segments confirm it."""
    if client[4:8] not in MAGIC and server[4:8] not in MAGIC:
        return None
    security = _security(client, server)
    services = (("gssapi",) if "gssapi" in security else ()) + (
        ("smb",) if _chunks(client) + _chunks(server) >= CONFIRMING else ()
    )
    rpc = ("dce_rpc",) if _PIPE_RPC in client else ()
    return Step((*services, *(name for name in security if name != "gssapi"), *rpc))


def dce_rpc(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """DCE/RPC over TCP: a whole fragment (version 5) of either side."""
    if not any(_fragment(stream) for stream in (client, server)):
        return None
    return Step((*(name for name in _security(client, server) if name != "krb"), "dce_rpc"))


def _chunks(stream: bytes) -> int:
    """About how many segments it took to carry the SMB messages from the stream's start."""
    count = pos = 0
    while count < MAX_CHUNKS and stream[pos + 4 : pos + 8] in MAGIC:
        end = min(pos + 4 + int.from_bytes(stream[pos + 1 : pos + 4], "big"), len(stream))
        count += 1 + (end - pos) // SEGMENT
        pos = end
    return count


def _fragment(stream: bytes) -> bool:
    if len(stream) < 16 or stream[0] != 5 or stream[1] > 1 or stream[2] > 0x14:
        return False
    length = int.from_bytes(stream[8:10], "little" if stream[4] >> 4 else "big")
    return 16 <= length <= len(stream)


def _security(client: bytes, server: bytes) -> tuple[str, ...]:
    out = []
    if _SPNEGO in client or _SPNEGO in server:
        out.append("gssapi")
    if b"NTLMSSP\0" in client or b"NTLMSSP\0" in server:
        out.append("ntlm")
    if _KERBEROS in client and b"NTLMSSP\0" not in client and b"\x6e\x82" in client:
        out.append("krb")
    return tuple(out)
