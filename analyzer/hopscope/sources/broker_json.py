r"""Broker's data model as JSON over WebSocket (`/v1/messages/json`): frames to messages, events to frames.

Format: docs.zeek.org, "Web Socket" of Broker's manual; types: see `broker_values`. Batches of records are
not built value by value: see `RecordLines`.

Zeek's server writes control characters raw, `\v` as an escape that JSON doesn't know, and bytes that are
not UTF-8 as they are; such frames are repaired, the odd bytes becoming \xNN as in Zeek's logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from hopscope.sources.broker_values import Box, Count, Timestamp, Value, boxed

BATCH = "Hopscope::batch"
NETWORK_TIMESTAMP = 1  # the metadata that Zeek itself adds (EventMetadata::NETWORK_TIMESTAMP)
_BATCH_MARK = BATCH.encode()
_HEAD_BYTES = 1024  # a batch's name stands in the head of its frame


@dataclass(frozen=True, slots=True)
class Event:
    """A Zeek event; `network_time` is None unless Zeek was told to add it."""

    topic: str
    name: str
    args: tuple[Value, ...]
    network_time: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class RecordLines:
    r"""A batch of records: `count` lines joined by newlines, as in the body of the log of that `kind`.

    `schema` names the columns (see `zeek_stream`), `seq` counts per (node, boot, kind); `n` is how many lines
    the sender says there are. Lines that are not one line are left out.
    """

    schema: str
    node: str
    boot: str
    kind: str
    seq: int
    n: int
    count: int
    lines: bytes


@dataclass(frozen=True, slots=True)
class Ack:
    """The server's answer to the subscription."""

    endpoint: str
    version: str


@dataclass(frozen=True, slots=True)
class ServerError:
    """The server could not use what we sent: the subscription, or an event."""

    code: str
    context: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A frame that could not be understood; `problem` is one of a few fixed texts."""

    problem: str


Message: TypeAlias = Event | RecordLines | Ack | ServerError | Refusal


def decode(frame: bytes | str) -> Message:
    """The message in a frame. Never raises: what can't be understood is a `Refusal`."""
    raw = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
    try:
        if raw.find(_BATCH_MARK, 0, _HEAD_BYTES) >= 0:
            try:
                return _lines_of_frame(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass  # the name only occurs in it, or the frame needs repair
        try:
            message = _FRAMES.decode(raw)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = _FRAMES.decode(_repaired(raw))
        if isinstance(message, _Ack):
            return Ack(message.endpoint, message.version)
        if isinstance(message, _Error):
            return ServerError(message.code, message.context)
        return _event(message)
    except msgspec.ValidationError:
        return Refusal("not a message of Broker's")
    except (msgspec.DecodeError, UnicodeError):
        return Refusal("not JSON")
    except (ValueError, OverflowError):
        return Refusal("a value that its type can't have")
    except RecursionError:
        return Refusal("nested too deeply")
    except Exception as e:  # one frame must not end what is to stay for months
        return unexpected(e)


def unexpected(error: Exception) -> Refusal:
    """A message over which hopscope itself failed."""
    return Refusal(f"{type(error).__name__}: an error of hopscope's")


def record_lines(args: Sequence[Any]) -> RecordLines:
    """A batch from its event's arguments, lines as str or bytes. Raises ValueError when they are not a batch's."""
    if len(args) != 7 or not isinstance(args[6], list | tuple):
        raise ValueError("not the arguments of a batch")
    *names, seq, n, lines = args
    texts = [x if isinstance(x, str) else _text(x) for x in lines if isinstance(x, str | bytes)]
    numbers = isinstance(seq, int) and isinstance(n, int) and seq >= 0 and n >= 0
    if not numbers or len(texts) != len(lines) or not all(isinstance(x, str) for x in names):
        raise ValueError("not the arguments of a batch")
    return _joined(names[0], names[1], names[2], names[3], int(seq), int(n), texts)


def encode(topic: str, name: str, args: Iterable[Value]) -> bytes:
    """The frame that publishes an event. Raises ValueError for a value that Broker's types can't hold."""
    event = (name, tuple(args))
    return msgspec.json.encode({"type": "data-message", "topic": topic, **boxed((Count(1), Count(1), event))})


def _joined(schema: str, node: str, boot: str, kind: str, seq: int, n: int, texts: list[str]) -> RecordLines:
    joined = "\n".join(texts)
    if any(["\n" in text for text in texts]) or "\r" in joined or "" in texts:  # noqa: C419 - a list is twice as fast
        texts = [text for text in texts if text and "\n" not in text and "\r" not in text]
        joined = "\n".join(texts)
    lines = joined.encode("utf-8", "backslashreplace")
    return RecordLines(schema, node, boot, kind, seq, n, len(texts), lines)


# --- batches: the shape of the whole frame is given to the decoder, no value is boxed


class _Text(Struct, gc=False):
    data: str


class _Number(Struct, gc=False):
    data: int


class _Texts(Struct, gc=False):
    data: list[_Text]


class _BatchArgs(Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    schema: _Text
    node: _Text
    boot: _Text
    kind: _Text
    seq: _Number
    n: _Number
    lines: _Texts


class _BatchArgsBox(Struct, gc=False):
    data: _BatchArgs


class _BatchEvent(Struct, array_like=True, gc=False):  # metadata may follow
    name: _Text
    args: _BatchArgsBox


class _BatchEventBox(Struct, gc=False):
    data: _BatchEvent


class _BatchData(Struct, array_like=True, gc=False):
    format: _Number
    type: _Number
    event: _BatchEventBox


class _BatchFrame(Struct, tag="data-message", gc=False):
    data: _BatchData


_BATCHES = msgspec.json.Decoder(_BatchFrame)


def _lines_of_frame(raw: bytes) -> RecordLines:
    event = _BATCHES.decode(raw).data.event.data
    args = event.args.data
    if event.name.data != BATCH or args.seq.data < 0 or args.n.data < 0:
        raise msgspec.ValidationError("another event")
    texts = [line.data for line in args.lines.data]
    return _joined(args.schema.data, args.node.data, args.boot.data, args.kind.data, args.seq.data, args.n.data, texts)


# --- everything else


class _Data(Struct, tag="data-message"):
    topic: str
    data: list[Box]


class _Ack(Struct, tag="ack"):
    endpoint: str = ""
    version: str = ""


class _Error(Struct, tag="error"):
    code: str = ""
    context: str = ""


_FRAMES = msgspec.json.Decoder(_Data | _Ack | _Error)


def _event(message: _Data) -> Message:
    """A message's data are [format 1, type 1 (an event), [name, arguments, metadata or nothing]]."""
    match [box.value() for box in message.data]:
        case [1, 1, (str(name), tuple(args), *more)] if len(more) <= 1:
            if name == BATCH:
                return record_lines(args)
            return Event(message.topic, name, args, _network_time(more))
    return Refusal("not an event")


def _network_time(metadata: list[Value]) -> Timestamp | None:
    for pair in metadata[0] if metadata and isinstance(metadata[0], tuple) else ():
        match pair:
            case (int(key), Timestamp() as time) if key == NETWORK_TIMESTAMP:
                return time
    return None


# --- repair

# a text that nothing closes is taken to the end: were it let go, each quote in it would begin a search to the end
_JSON_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_ODD = re.compile(rb'\\(?:["\\/bfnrtu]|(.))|([\x00-\x1f])', re.DOTALL)
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


def _repaired(raw: bytes) -> bytes:
    r"""The frame with what Zeek's JSON printer leaves undone: control characters and \v escaped, and bytes
    that are not UTF-8 as a literal \xNN."""
    return _JSON_TEXT.sub(lambda text: _ODD.sub(_escaped, text[0]), _valid(raw))


def _escaped(found: re.Match[bytes]) -> bytes:
    if found[2] is not None:
        return b"\\u%04x" % found[2][0]
    if found[1] is None:
        return found[0]
    return b"\\u000b" if found[1] == b"v" else b"\\\\" + found[1]


def _valid(raw: bytes) -> bytes:
    text = raw.decode("utf-8", "surrogateescape")
    return _NOT_UTF8.sub(lambda c: f"\\\\x{ord(c[0]) - 0xDC00:02x}", text).encode()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
