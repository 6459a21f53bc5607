"""How a line ends: whatever was lost or could not be sent is told by `drain`, before the last words are said."""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import pytest

from contract.fake_zeek import Act, Client, FakeZeek, fake_zeek, until
from hopscope.config import LiveSettings
from hopscope.errors import InputError
from hopscope.records import InputCount
from hopscope.sources import inbox, zeek_websocket
from hopscope.sources.zeek_handshake import Handshake
from hopscope.sources.zeek_websocket import ZeekWebSocket
from support.findings import BARE
from support.stream import CONNECTIONS, batch, frame, hello


def sends(*frames: bytes, then: Any = Client.stay) -> Act:
    def act(client: Client) -> None:
        client.accept()
        client.send(*frames)
        then(client)

    return act


def opened(zeek: FakeZeek, count: InputCount, **options: Any) -> ZeekWebSocket:
    return ZeekWebSocket(zeek.url, LiveSettings(), count, **options)


def waiting(source: ZeekWebSocket, frames: list[bytes]) -> None:
    """Until all frames wait to be decoded."""
    until(lambda: source.status.waiting_bytes >= sum(map(len, frames)))


def test_draining_takes_all_that_came_however_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "TAKE_BYTES", 2000)
    frames = [frame(hello()), *(frame(batch(i)) for i in range(50))]
    with fake_zeek(sends(*frames)) as zeek, opened(zeek, InputCount()) as source:
        waiting(source, frames)
        assert sum(b.connections.num_rows for b in source.drain()) == 100
        assert source.status.waiting_bytes == 0


def test_records_whose_columns_were_never_named_are_missing_once_it_is_drained() -> None:
    frames = [frame(batch(0, columns=CONNECTIONS[:-1]))]
    count = InputCount()
    with fake_zeek(sends(*frames)) as zeek, opened(zeek, count) as source:
        waiting(source, frames)
        assert source.drain() == []
        assert count.missing == 2
        assert "2 records came before any word of their columns" in "\n".join(count.problems or ())


def test_findings_are_sent_before_the_line_is_closed() -> None:
    count = InputCount()
    with fake_zeek(sends()) as zeek:
        with opened(zeek, count) as source:
            for _ in range(200):
                source.send_finding(BARE)
        until(lambda: len(zeek.received) == 200)
    assert (source.status.unsent, count.problems) == (0, None)


def test_findings_of_the_last_weighing_which_follows_draining_are_sent_too() -> None:
    count = InputCount()
    with fake_zeek(sends()) as zeek, opened(zeek, count) as source:
        source.drain()
        for _ in range(5):
            source.send_finding(BARE)
        assert (source.status.unsent, count.problems) == (0, None)


def test_findings_that_a_broken_line_keeps_are_told_by_draining() -> None:
    count = InputCount()
    ended = threading.Event()
    with fake_zeek(sends(then=Client.cut)) as zeek, opened(zeek, count, wait=lambda _: ended.wait(20)) as source:
        until(lambda: source.status.peer is None)
        for _ in range(5):
            source.send_finding(BARE)
        source.drain()
        assert "5 findings could not be sent back to Zeek" in "\n".join(count.problems or ())
        source.send_finding(BARE)
        assert "6 findings could not be sent back to Zeek" in "\n".join(count.problems or ())
        ended.set()
    assert source.status.unsent == 6


def test_a_server_that_does_not_read_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def never_writable(*_: object) -> tuple[tuple[()], tuple[()], tuple[()]]:
        time.sleep(0.01)
        return (), (), ()

    monkeypatch.setattr(zeek_websocket, "CLOSE_S", 0.1)
    count = InputCount()
    with fake_zeek(sends(), max_queue=1) as zeek, opened(zeek, count) as source:
        monkeypatch.setattr(select, "select", never_writable)
        for _ in range(7):
            source.send_finding(BARE)
        source.drain()
        source.send_finding(BARE)
    assert "8 findings could not be sent back to Zeek" in "\n".join(count.problems or ())


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_name_that_no_host_can_have_is_an_input_error(host: str) -> None:
    with pytest.raises(InputError, match="no host can have that name"):
        ZeekWebSocket(f"ws://{host}:1", LiveSettings(), InputCount()).__enter__()


def test_an_error_while_connecting_again_is_told_and_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    count = InputCount()
    with fake_zeek(sends(then=Client.cut), sends()) as zeek:
        real, calls = Handshake.open, []

        def fail_second(self: Handshake, early: Any) -> Any:
            calls.append(1)
            if len(calls) == 2:
                raise ZeroDivisionError("odd")
            return real(self, early)

        monkeypatch.setattr(Handshake, "open", fail_second)
        with opened(zeek, count, wait=lambda _: False) as source:
            until(lambda: source.status.reconnects == 1)
            source.poll(0.0)
    assert "connecting failed (ZeroDivisionError: odd)" in "\n".join(count.problems or ())
