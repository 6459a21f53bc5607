"""MySQL's connection phase, with its change to TLS."""

from __future__ import annotations

from hopscope.sensor.dissect.step import Step

PORTS = frozenset((1434, 3306))
CLIENT_SSL = 0x0800
SSL_REQUEST = 36  # bytes of a login packet that only asks for TLS


def mysql(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """MySQL: the server's greeting (protocol 10 or 9) answered by the client's login."""
    if len(server) < 16 or len(client) < 9 or server[3] != 0 or client[3] != 1 or server[4] not in (9, 10):
        return None
    greeting = 4 + int.from_bytes(server[:3], "little")
    login = 4 + int.from_bytes(client[:3], "little")
    version_end = server.find(0, 5, 5 + 256)
    if version_end < 0 or not server[5:6].isdigit() or greeting > len(server) or login > len(client):
        return None
    if login == SSL_REQUEST and int.from_bytes(client[4:6], "little") & CLIENT_SSL:
        return Step(("mysql",), (login, greeting))
    return Step(("mysql",))
