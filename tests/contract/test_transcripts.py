"""Sessions with a real Zeek, frame by frame: Zeek's part is played again, to our client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract.fake_zeek import Client, fake_zeek, until
from hopscope.config import LiveSettings
from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sources.broker_json import Ack, Event, ServerError, decode, encode
from hopscope.sources.zeek_websocket import ZeekWebSocket

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "zeek"

# what each session's server frames are: acknowledgement, events, errors
FRAMES = {
    "all-types": (1, 3, 0),
    "all-types-with-network-timestamp": (1, 2, 0),
    "bad-application-name": (0, 0, 0),
    "bad-json": (1, 0, 1),
    "bad-subscription-object": (0, 0, 1),
    "control-characters": (1, 3, 0),
    "good-application-name": (1, 1, 0),
    "invalid-utf8": (1, 0, 0),
    "ping-pong": (1, 1, 0),
    "subscribe-nothing": (1, 0, 0),
    "unknown-event": (1, 0, 1),
    "wrong-arguments": (1, 0, 1),
    "wrong-path": (0, 0, 0),
}


def session(path: Path) -> list[dict[str, Any]]:
    """The frames of a transcript."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def replay(frames: list[dict[str, Any]]) -> Any:
    """Zeek's part of a session; it begins when the client has subscribed."""

    def act(client: Client) -> None:
        client.line.recv(timeout=5)
        for frame in frames:
            if frame["dir"] == "server":
                client.send(frame["text"])
            elif frame["dir"] == "close":
                client.line.close(frame["code"] or 1007, frame["reason"][:100])
        client.stay()

    return act


def test_no_transcript_is_left_out(shared: Path) -> None:
    assert {p.stem for p in (shared / "zeek" / "transcripts").glob("*.jsonl")} == FRAMES.keys()


@pytest.mark.parametrize("name", FRAMES)
def test_every_frame_is_understood(shared: Path, name: str) -> None:
    frames = [f["text"] for f in session(shared / "zeek" / "transcripts" / f"{name}.jsonl") if f["dir"] == "server"]
    messages = [decode(text) for text in frames]
    kinds = tuple(sum(isinstance(m, kind) for m in messages) for kind in (Ack, Event, ServerError))
    assert (kinds, sum(kinds)) == (FRAMES[name], len(messages))


def test_what_we_encode_is_what_zeek_sends(shared: Path) -> None:
    """The same structure and types; only text forms may differ (1500ms is 1500000000ns)."""
    for frame in session(shared / "zeek" / "transcripts" / "all-types.jsonl"):
        message = decode(frame["text"])
        if isinstance(message, Event):
            ours, theirs = json.loads(encode(message.topic, message.name, message.args)), json.loads(frame["text"])
            assert decode(json.dumps(ours)) == message
            assert json.dumps(ours).replace("1500000000ns", "1500ms").replace("29.831000000", "29.831") == json.dumps(
                theirs
            )


@pytest.mark.parametrize("name", FRAMES)
def test_every_session_is_lived_through(shared: Path, name: str) -> None:
    """Played to our client: where there was an acknowledgement it stays, else it says why not."""
    frames = session(shared / "zeek" / "transcripts" / f"{name}.jsonl")
    acks, _, errors = FRAMES[name]
    count = InputCount()
    with fake_zeek(replay(frames)) as zeek:
        source = ZeekWebSocket(zeek.url, LiveSettings(ack_s=5), count, wait=lambda _: True)
        if not acks:
            with pytest.raises(InputError, match=r"refused the subscription|1008"):
                source.__enter__()
            return
        with source:
            until(
                lambda: source.status.waiting_bytes >= sum(len(f["text"]) for f in frames if f["dir"] == "server") - 200
            )
            assert source.poll(0.1) == []  # demo events are none of ours
            assert (count.refused, count.missing) == (0, 0)
            assert any("could not use what it was sent" in p for p in count.problems or ()) == bool(errors)
