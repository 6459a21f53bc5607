"""What the dissectors say of one connection; the names are those of the Connection record."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Facts:
    """Content facts of one connection; None where the payload doesn't say.

    `services` are the application protocols as Zeek names them, outer first ("socks" before "ssl").
    `hello_at` and `server_hello_at` are the stream offsets just past the ClientHello and the
    ServerHello messages, so that the caller can look up when they were complete; `inner` is the pair of
    stream offsets (originator, responder) at which a proxy handshake (the last of a chain) ends, None without
    one; the proxy fields are those of the first. Offsets inside unwrapped frames are not given.
    """

    services: list[str] = field(default_factory=list)
    flipped: bool = False  # the content says that the responder is the client (seen mid-stream)
    hello_at: int | None = None
    server_hello_at: int | None = None
    inner: tuple[int, int] | None = None
    sni: str | None = None
    alpn: str | None = None
    tls_version: str | None = None
    ja4: str | None = None
    server_hello: str | None = None
    cert_subject: str | None = None
    cert_issuer: str | None = None
    cert_sha256: str | None = None
    cert_self_signed: bool | None = None
    resumed: bool | None = None
    ssh_client: str | None = None
    ssh_server: str | None = None
    ssh_host_key: str | None = None
    http_host: str | None = None
    http_method: str | None = None
    user_agent: str | None = None
    proxy_protocol: str | None = None
    proxy_target: str | None = None
    proxy_accepted: bool | None = None
    leaked_far_end: str | None = None
