"""Trace context that comes beside messages (17 §6)."""

import json
from typing import Any

import pytest

from iii.engine.invocation import NO_TRACE, Trace
from iii.modules.pubsub.beside import NOTICE_BYTES, NOTICE_S, NOTICES, Notices, notice
from iii.testing import FakeClock

TRACE = Trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "k=v")


def said(topic: str, message: bytes, trace: Trace = TRACE) -> bytes:
    text = notice(topic, message, trace)
    assert text is not None
    return text


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def notices(clock: FakeClock) -> Notices:
    return Notices(clock, {"t", "u"})


def test_17_6_a_context_is_that_of_one_message(notices: Notices) -> None:
    notices.hear(said("t", b"1"))
    assert [notices.of("t", b"2"), notices.of("u", b"1"), notices.of("t", b"1"), notices.of("t", b"1")] == [
        NO_TRACE, NO_TRACE, TRACE, NO_TRACE,
    ]  # fmt: skip


def test_17_6_equal_messages_have_their_contexts_in_order(notices: Notices) -> None:
    second = Trace(None, "k=w")
    notices.hear(said("t", b"1"))
    notices.hear(said("t", b"1", second))
    assert [notices.of("t", b"1"), notices.of("t", b"1")] == [TRACE, second]


def test_17_6_large_messages_are_told_apart_by_their_ends(notices: Notices) -> None:
    large = b"x" * 100_000
    notices.hear(said("t", large + b"1"))
    assert [notices.of("t", large + b"2"), notices.of("t", large + b"1")] == [NO_TRACE, TRACE]


def test_17_6_what_no_message_follows_is_forgotten(notices: Notices, clock: FakeClock) -> None:
    notices.hear(said("t", b"1"))
    clock.advance(NOTICE_S)
    assert notices.of("t", b"1") == NO_TRACE
    for number in range(NOTICES + 1):
        notices.hear(said("t", b"%d" % number))
    assert len(notices) == NOTICES
    assert [notices.of("t", b"0"), notices.of("t", b"1")] == [NO_TRACE, TRACE]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no JSON",
        b"[1]",
        b'{"topic":"t"}',
        b"[" * 60_000,
        b'"' + b"x" * NOTICE_BYTES + b'"',
        b'{"topic":"t","message":"' + b"x" * 60_000 + b'"}',
    ],
)
def test_17_6_what_makes_no_sense_is_nothing(notices: Notices, text: bytes) -> None:
    notices.hear(text)
    assert len(notices) == 0


def test_17_6_what_is_of_no_topic_here_does_not_wait(notices: Notices) -> None:
    """Every message would look through notices whose messages go to others, and lose its own behind 1,000 of them."""
    notices.hear(said("elsewhere", b"1"))
    assert len(notices) == 0


@pytest.mark.parametrize("members", [{"traceparent": "no"}, {"baggage": "x" * 10_000}, {}])
def test_17_6_a_context_that_is_none_is_not_handed_on(notices: Notices, members: dict[str, Any]) -> None:
    notice_ = json.loads(said("t", b"1"))
    notices.hear(json.dumps({"topic": "t", "message": notice_["message"], **members}).encode())
    assert notices.of("t", b"1") == NO_TRACE


def test_17_6_a_message_without_context_has_no_notice() -> None:
    assert notice("t", b"1", NO_TRACE) is None
    assert notice("t", b"1", Trace(None, "k=" + "x" * NOTICE_BYTES)) is None
