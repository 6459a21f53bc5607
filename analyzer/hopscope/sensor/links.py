"""Link types (LINKTYPE_ numbers of the tcpdump.org registry) that the decoder understands."""

from __future__ import annotations

NULL = 0
ETHERNET = 1
PPP = 9
FDDI = 10
RAW_BSD = 12
RAW_OPENBSD = 14
PPP_SERIAL = 50
PPP_ETHER = 51
RAW = 101
CISCO_HDLC = 104
IEEE802_11 = 105
LOOP = 108
LINUX_SLL = 113
IEEE802_11_RADIO = 127
IPV4 = 228
IPV6 = 229
NFLOG = 239
LINUX_SLL2 = 276

UNDERSTOOD = frozenset(
    {
        NULL,
        ETHERNET,
        PPP,
        FDDI,
        RAW_BSD,
        RAW_OPENBSD,
        PPP_SERIAL,
        PPP_ETHER,
        RAW,
        CISCO_HDLC,
        IEEE802_11,
        LOOP,
        LINUX_SLL,
        IEEE802_11_RADIO,
        IPV4,
        IPV6,
        NFLOG,
        LINUX_SLL2,
    }
)
