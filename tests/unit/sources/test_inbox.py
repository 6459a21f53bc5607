"""What waits to be decoded is bounded."""

from __future__ import annotations

from hopscope.sources.inbox import TAKE_BYTES, Inbox


def test_items_without_payload_are_bounded_too() -> None:
    inbox: Inbox[bytes] = Inbox(10_000)
    for _ in range(1000):
        inbox.put(b"", 0)
    assert inbox.lost > 900
    assert len(inbox.take(0.0)) + inbox.lost == 1000
    assert inbox.bytes == 0


def test_what_is_too_much_at_a_time_comes_with_the_next() -> None:
    inbox: Inbox[int] = Inbox(4 * TAKE_BYTES)
    for i in range(3):
        inbox.put(i, TAKE_BYTES)
    assert [inbox.take(0.0) for _ in range(4)] == [[0], [1], [2], []]


def test_closing_leaves_what_came_and_takes_no_more() -> None:
    inbox: Inbox[int] = Inbox(1000)
    inbox.put(1, 1)
    inbox.close()
    inbox.put(2, 1)
    assert inbox.take(9e9) == [1]
    assert inbox.take(9e9) == []
    assert inbox.lost == 0
