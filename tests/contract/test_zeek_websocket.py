"""The WebSocket line against a server that behaves as Zeek's, and against one that doesn't."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from contract.fake_zeek import Act, Client, FakeZeek, fake_zeek, only_at, until
from hopscope.config import LiveSettings
from hopscope.errors import InputError, UsageError
from hopscope.records import InputCount
from hopscope.sources import live_source
from hopscope.sources.broker_json import Event, decode
from hopscope.sources.live_source import Tls
from hopscope.sources.zeek_handshake import PATH
from hopscope.sources.zeek_websocket import ZeekWebSocket
from support.findings import BARE
from support.stream import batch, connection, frame, heartbeat, hello

HELLO = frame(hello())


class Analyzer:
    """A source with its count, and everything that it brought."""

    def __init__(self, source: ZeekWebSocket, count: InputCount) -> None:
        self.source, self.count, self.uids = source, count, []

    def read(self, until_true: Callable[[], bool]) -> None:
        """Poll until then."""

        def done() -> bool:
            for got in self.source.poll(0.02):
                self.uids += got.connections["uid"].to_pylist()
            return until_true()

        until(done)

    def problems(self) -> str:
        return "\n".join(self.count.problems or ())


Start = Callable[..., tuple[FakeZeek, Analyzer]]


@pytest.fixture
def start() -> Iterator[Start]:
    """A fake Zeek with these acts, and an analyzer that is connected to it; no pause before reconnecting."""
    with ExitStack() as stack:

        def begin(
            *acts: Act, settings: LiveSettings | None = None, server: dict[str, Any] | None = None, **options: Any
        ) -> tuple[FakeZeek, Analyzer]:
            zeek = stack.enter_context(fake_zeek(*acts, **(server or {})))
            count = InputCount()
            options = {"wait": lambda _: False, **options}
            source = ZeekWebSocket(zeek.url, settings or LiveSettings(), count, **options)
            return zeek, Analyzer(stack.enter_context(source), count)

        yield begin


def sends(*frames: str | bytes, then: Callable[[Client], None] = Client.stay) -> Act:
    """An act: accept, send, and then something else."""

    def act(client: Client) -> None:
        client.accept()
        client.send(*frames)
        then(client)

    return act


def some(*numbers: int) -> list[bytes]:
    """Batches with these numbers."""
    return [frame(batch(i)) for i in numbers]


def never(client: Client) -> None:
    client.line.recv()
    client.stay()


def refused(client: Client) -> None:
    client.line.recv()
    client.send('{"type":"error","code":"deserialization_failed","context":"subscriptions not an array"}')
    client.stay()


def wrong_path(client: Client) -> None:
    client.line.close(1008, f"Invalid URI - use {PATH}")


def test_it_subscribes_and_records_come(start: Start) -> None:
    zeek, analyzer = start(sends(HELLO, *some(0, 1)))
    analyzer.read(lambda: len(analyzer.uids) == 4)
    assert zeek.subscriptions == [["/hopscope/records"]]
    assert analyzer.source.poll(0.0) == []
    assert analyzer.source.status.line() == f"connected to Zeek 8.0.10 at {zeek.url}, 1 node, 4 records"


def test_it_connects_again_subscribes_again_and_counts_what_it_missed(start: Start) -> None:
    """Breaks of every kind: no close frame, and each close that Zeek sends."""
    closes = [sends(*some(2 * i + 2), then=lambda c, code=code: c.line.close(code)) for i, code in
              enumerate((1000, 1001, 1007, 1011))]  # fmt: skip
    zeek, analyzer = start(sends(HELLO, *some(0), then=Client.cut), *closes, sends(frame(heartbeat(44, 21))))
    analyzer.read(lambda: analyzer.count.missing == 44 - 10)
    assert analyzer.uids == ["C0", "C1", "C4", "C5", "C8", "C9", "C12", "C13", "C16", "C17"]
    assert zeek.subscriptions == [["/hopscope/records"]] * 6
    assert analyzer.source.status.reconnects == 5
    assert "the line broke 5 times" in analyzer.problems()
    assert "34 connection records were sent and never came (16 batches)" in analyzer.problems()


def test_a_server_that_no_longer_answers_is_left(start: Start) -> None:
    """Half open: the connection stands, and nobody is there."""
    _, analyzer = start(sends(*some(0), then=Client.freeze), sends(*some(2)), ping_s=0.1)
    analyzer.read(lambda: len(analyzer.uids) == 4)
    assert analyzer.count.missing == 2
    assert "no answer came in time" in analyzer.problems()


def test_an_error_reply_to_a_later_subscription_is_tried_again(start: Start) -> None:
    """Such a connection stays open, and is never acknowledged."""
    zeek, analyzer = start(sends(*some(0), then=Client.cut), refused, refused, sends(*some(1)))
    analyzer.read(lambda: len(analyzer.uids) == 4)
    assert zeek.connections == 4
    assert "refused the subscription (deserialization_failed: subscriptions not an array)" in analyzer.problems()


def test_garbage_is_counted_and_the_rest_is_read(start: Start) -> None:
    garbage = ["", "{", "[]", "null", '{"type":"data-message"}', b"\xff\xfe", '{"type":"what"}', "[" * 100_000]
    _, analyzer = start(sends(HELLO, *some(0), *garbage, *some(1)))
    analyzer.read(lambda: len(analyzer.uids) == 4)
    assert analyzer.count.refused == len(garbage)
    assert analyzer.count.missing == 0


def test_text_that_is_not_utf8_survives(start: Start) -> None:
    """A standard client closes with 1007 here."""
    line = frame(batch(0, [connection(0, sni="bad-@@.example")])).replace(b"@@", b"\xe9\x0b")
    _, analyzer = start(sends(line))
    analyzer.read(lambda: len(analyzer.uids) == 1)
    assert (analyzer.count.refused, analyzer.count.missing) == (0, 0)


def test_a_lost_batch_is_reported_with_its_count(start: Start) -> None:
    big = frame(batch(3, [connection(i) for i in range(5)]))
    _, analyzer = start(sends(frame(heartbeat(0, 0)), *some(0, 2), big, frame(heartbeat(2 + 7 + 2 + 5, 4))))
    analyzer.read(lambda: analyzer.count.missing == 7)
    assert "7 connection records were sent and never came (1 batches)" in analyzer.problems()


def test_a_reader_that_can_not_keep_up_drops_and_says_so(start: Start) -> None:
    """Zeek's server must never wait for us: it would keep everything in its own memory."""
    wide = [frame(batch(i, [connection(i, user_agent="x" * 100_000)])) for i in range(100)]
    sent = threading.Event()

    def act(client: Client) -> None:
        client.accept()
        client.send(frame(heartbeat(0, 0)), *wide)
        sent.set()
        client.zeek.ended.wait(20)

    _, analyzer = start(act, settings=LiveSettings(queue_mb=1))
    assert sent.wait(20)  # nothing was polled, and yet everything was taken
    until(lambda: analyzer.source.status.lost_frames >= 85)
    analyzer.read(lambda: analyzer.source.status.lost_frames + len(analyzer.uids) >= 100)
    assert analyzer.source.status.lost_frames + len(analyzer.uids) == 100
    assert f"{analyzer.source.status.lost_frames} frames were dropped" in analyzer.problems()


def test_what_is_dropped_for_want_of_room_is_known_from_the_next_heartbeat(start: Start) -> None:
    polled = threading.Event()

    def act(client: Client) -> None:
        client.accept()
        client.send(frame(heartbeat(0, 0)), *(frame(batch(i, [connection(i, sni="x" * 99_000)])) for i in range(40)))
        polled.wait(20)
        client.send(frame(heartbeat(40, 40)))
        client.stay()

    _, analyzer = start(act, settings=LiveSettings(queue_mb=1))
    until(lambda: analyzer.source.status.lost_frames > 25)
    analyzer.read(lambda: len(analyzer.uids) > 5)
    polled.set()
    analyzer.read(lambda: analyzer.count.missing + len(analyzer.uids) == 40)
    assert analyzer.count.missing == analyzer.source.status.lost_frames


def test_findings_go_back_also_after_a_break(start: Start) -> None:
    zeek, analyzer = start(sends(then=Client.cut), sends())
    analyzer.source.send_finding(BARE)
    until(lambda: len(zeek.received) > 0)
    message = decode(zeek.received[0])
    assert isinstance(message, Event)
    assert (message.topic, message.name) == ("/hopscope/findings", "Hopscope::finding")
    [record] = message.args
    assert isinstance(record, tuple)
    assert [str(v) for v in record[:2]] == ["hop-1", "203.0.113.9"]
    assert record[3:5] == ("high", 12.0)
    assert record[6:] == (("x.example",), False, "203.0.113.9:443/tcp")
    assert b'"data":12.0' in (zeek.received[0] if isinstance(zeek.received[0], bytes) else zeek.received[0].encode())


def test_findings_never_hold_up_reading(start: Start) -> None:
    """A server that doesn't read fills the line with what we send; what it sends must still be read."""
    full = threading.Event()

    def act(client: Client) -> None:
        client.accept()
        full.wait(20)
        client.send(*some(0))
        client.zeek.ended.wait(60)  # longer than the test waits

    _, analyzer = start(act, server={"max_queue": 1})
    long = dataclasses.replace(BARE, names=tuple(f"{i:0250}" for i in range(100)))
    sent = 0

    def stuck() -> bool:
        """No more can be sent: the first of those that wait has waited for some time."""
        nonlocal sent
        while analyzer.source.status.unsent < 20:
            analyzer.source.send_finding(long)
            sent += 1
        time.sleep(0.3)
        return analyzer.source.status.unsent >= 20

    until(stuck)
    full.set()
    analyzer.read(lambda: len(analyzer.uids) == 2)
    assert sent > 100


def test_pauses_between_attempts_grow_to_a_minute_and_are_never_alike() -> None:
    pauses: list[float] = []
    chances = iter([0.0, 1.0] * 10)

    def wait(pause: float) -> bool:
        pauses.append(pause)
        return len(pauses) > 9

    options: dict[str, Any] = {"wait": wait, "chance": lambda: next(chances)}
    with (
        fake_zeek(sends(then=Client.cut), lambda c: c.line.close(1011)) as zeek,
        ZeekWebSocket(zeek.url, LiveSettings(), InputCount(), **options),
    ):
        until(lambda: len(pauses) == 10)
    assert pauses == [0.5, 2.0, 2.0, 8.0, 8.0, 32.0, 30.0, 60.0, 30.0, 60.0]


def test_nobody_said_hello_is_told(start: Start) -> None:
    now = [0.0]
    _, analyzer = start(sends(), clock=lambda: now[0])
    analyzer.source.poll(0.0)
    assert analyzer.count.problems is None
    now[0] = 31.0
    analyzer.source.poll(0.0)
    assert "no node has said hello in 30 s; load hopscope's package" in analyzer.problems()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (never, ["within 0.2 s", "8.1", "@load hopscope/standalone", "package", PATH, "something else"]),
        (wrong_path, ["1008", "Invalid URI - use /v1/messages/json", f"the path must be {PATH}"]),
        (refused, ["refused the subscription", "not an array"]),
        (Client.cut, ["the connection broke off (1006)"]),
    ],
    ids=["no acknowledgement", "wrong path", "error", "cut"],
)  # fmt: skip
def test_a_first_connection_that_fails_names_cause_and_remedy(act: Act, words: list[str]) -> None:
    with fake_zeek(act) as zeek, pytest.raises(InputError) as raised:
        ZeekWebSocket(zeek.url, LiveSettings(ack_s=0.2), InputCount()).__enter__()
    assert [word for word in words if word not in str(raised.value)] == []
    assert str(raised.value).startswith(zeek.url)


def test_other_servers_are_told_from_zeeks() -> None:
    with fake_zeek(Client.stay, process_request=only_at("/other")) as zeek:
        with pytest.raises(InputError, match=r"not Zeek's WebSocket server .*404.*check the port"):
            ZeekWebSocket(zeek.url, LiveSettings(), InputCount()).__enter__()
        with pytest.raises(InputError, match="TLS failed"):
            ZeekWebSocket(zeek.url.replace("ws:", "wss:"), LiveSettings(), InputCount()).__enter__()
    with pytest.raises(InputError, match=r"nothing listens there; start Zeek with the package"):
        ZeekWebSocket(zeek.url, LiveSettings(), InputCount()).__enter__()


def test_a_port_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from hopscope.sources import zeek_handshake

    monkeypatch.setattr(zeek_handshake, "OPEN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = ZeekWebSocket(f"ws://127.0.0.1:{silent.getsockname()[1]}", LiveSettings(), InputCount())
        with pytest.raises(InputError, match="no answer within"):
            source.__enter__()


@pytest.mark.parametrize(
    ("url", "tls", "problem"),
    [
        ("http://zeek", None, "not a URL of Zeek's"),
        ("ws://", None, "names no host"),
        ("ws://zeek:port", None, "its port is not one"),
        ("ws://zeek:99999", None, "its port is not one"),
        ("ws://[::1", None, "not a URL"),
        ("ws://me@zeek", None, "no user name"),
        ("ws://zeek", Tls(ca="ca.pem"), "certificates need TLS"),
        ("wss://zeek", Tls(key="k.pem"), "--key needs --cert"),
        ("wss://zeek", Tls(ca="/no/such.pem"), "can't use /no/such.pem"),
    ],
)
def test_a_url_or_files_that_can_not_be_used(url: str, tls: Tls | None, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        live_source.connect(url, LiveSettings(), InputCount(), tls)


def test_closing_ends_the_threads_at_once(start: Start) -> None:
    before = threading.active_count()
    zeek, analyzer = start(sends(HELLO))
    analyzer.source.close()
    analyzer.source.close()
    zeek.ended.set()
    until(lambda: threading.active_count() <= before + 1)  # the server's own
