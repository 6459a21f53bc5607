"""IRC (RFC 2812) with STARTTLS (IRCv3)."""

from __future__ import annotations

import re

from hopscope.sensor.dissect.step import Step, after_starttls, lines

PORTS = frozenset((6666, 6667, 6668, 6669))
COMMANDS = frozenset(
    b"ADMIN AWAY CNOTICE CPRIVMSG CONNECT DIE ENCAP ERROR INFO INVITE ISON JOIN KICK KILL KNOCK LINKS LIST LUSERS MODE"
    b" MOTD NAMES NICK NOTICE OPER PART PASS PING PONG PRIVMSG QUIT REHASH RULES SERVER SERVICE SERVLIST SETNAME"
    b" SILENCE SQUERY SQUIT STATS SUMMON TIME TOPIC TRACE USER USERHOST USERS VERSION WALLOPS WHO WHOIS WHOWAS"
    b" STARTTLS".split()
)

_LOGIN = re.compile(
    rb"(?:^|[\r\n]) *+(?:USER ++[^\r\n]++[\n\r]++ *+NICK ++[^\r\n]*+[\r\n]"
    rb"|NICK ++[^\r\n]++[\r\n]++ *+USER ++[^\r\n]++[\r\n])",
    re.IGNORECASE,
)
_REPLY = re.compile(rb"(?:^|[\n\r])(?::[^ \n\r]+ )?\d\d\d ")
_LINE = re.compile(rb" *+(?:@[^ ]*+ ++)?+(?::[^ ]*+ ++)?+([^ ]++)")


def irc(client: bytes, server: bytes, resp_p: int) -> Step | None:
    """IRC once the client sent one of its commands, as long as no line breaks the form."""
    if resp_p not in PORTS and not (_LOGIN.search(client[:1024]) and _REPLY.search(server[:1024])):
        return None
    inner = after_starttls(client, server)
    left, right = inner or (len(client), len(server))
    words = [word for line in lines(client[:left]) if (word := _word(line)) is not None]
    answers = [word for line in lines(server[:right]) if (word := _word(line)) is not None]
    if not all(_formed(word) for word in (*words, *answers)) or not any(word.upper() in COMMANDS for word in words):
        return None
    return Step(("irc",), inner)


def _word(line: bytes) -> bytes | None:
    """The command or the numeric of a line; None where it is too short or long to be looked at."""
    match = _LINE.match(line) if 3 <= len(line) <= 512 else None
    return match.group(1) if match is not None else None


def _formed(word: bytes) -> bool:
    return not word[:1].isdigit() or (len(word) == 3 and word.isdigit())
