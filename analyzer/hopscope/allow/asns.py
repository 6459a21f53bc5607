"""AS numbers of addresses, from the user's own database in MaxMind's format (GeoLite2 ASN, IPinfo, DB-IP)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from hopscope.errors import UsageError

AsnOf = Callable[[str], int | None]


@functools.lru_cache(4)
def database(path: str) -> AsnOf:
    """What gives an address's AS number, None where the database has none.

    Raises UsageError when maxminddb isn't installed or the file can't be read.
    """
    try:
        import maxminddb
    except ImportError as e:
        raise UsageError("network.asn_database: reading it needs maxminddb; pip install 'hopscope[geo]'") from e
    try:
        # in memory: a file that is replaced while it is mapped ends the process
        reader = maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as e:
        raise UsageError(
            f"network.asn_database: {path} can't be read ({e}); name a database in MaxMind's format"
        ) from e

    @functools.lru_cache(1 << 16)
    def asn_of(address: str) -> int | None:
        try:
            found = reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return None  # an IPv6 address in a database of IPv4, or a damaged place
        return _number(found) if isinstance(found, dict) else None

    return asn_of


def _number(found: dict[str, Any]) -> int | None:
    """The number, under the names that the usual databases have for it."""
    value = found.get("autonomous_system_number", found.get("asn"))
    text = str(value if value is not None else "").upper().removeprefix("AS")
    return int(text) if text.isascii() and text.isdigit() else None
