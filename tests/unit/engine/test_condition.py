"""Conditions: what counts as a no, and how long they have (T7). Firing has its own."""

from __future__ import annotations

import pytest

from iii.engine.condition import Condition, ConditionTimeout
from iii.engine.invocation import Trace
from iii.protocol.errors import InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.reply import reply_of
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Replies(list[bool | InvocationError | None]):
    def __call__(self, met: bool | None, error: InvocationError | None) -> None:
        self.append(met if error is None else error)


@pytest.fixture
def judge(engine: MemoryEngine) -> MemoryWorker:
    return engine.connect(functions=["is::hot"])


@pytest.fixture
def condition(engine: MemoryEngine, judge: MemoryWorker) -> Condition:
    return Condition(engine.core.router, engine.clock, "is::hot", DEFAULT_NAMESPACE)


@pytest.mark.parametrize(("said", "met"), [(False, False), (True, True), (0, True), ("false", True), (None, True)])
def test_T7_only_false_is_a_no(condition: Condition, judge: MemoryWorker, said: object, met: bool) -> None:
    replies = Replies()
    condition.decide(b'{"celsius":21}', replies, Trace(TRACEPARENT))
    asked = judge.invocations()[0]
    assert (asked["data"], asked["traceparent"]) == ({"celsius": 21}, TRACEPARENT)
    assert "metadata" not in asked
    assert replies == []

    judge.answer(asked, said)

    assert replies == [met]


def test_T7_a_failure_is_an_error(condition: Condition, judge: MemoryWorker) -> None:
    replies = Replies()
    condition.decide(b"{}", replies)
    judge.answer(judge.invocations()[0], error={"code": "broken", "message": "it is"})
    assert str(replies[0]) == "broken: it is"


def test_T7_silence_is_an_error_and_a_late_answer_is_dropped(
    condition: Condition, judge: MemoryWorker, clock: FakeClock
) -> None:
    replies = Replies()
    condition.decide(b"{}", replies, limit_s=5)
    clock.advance(5)
    judge.answer(judge.invocations()[0], True)
    assert [(type(reply), str(reply)) for reply in replies] == [
        (ConditionTimeout, "condition_timeout: is::hot took longer than 5 s")
    ]


def test_P7_a_condition_that_takes_too_long_is_told_to_stop(engine: MemoryEngine, clock: FakeClock) -> None:
    judge = engine.connect(functions=["is::cold"], features=["cancel.v1"])
    condition = Condition(engine.core.router, engine.clock, "is::cold", DEFAULT_NAMESPACE)
    condition.decide(b"{}", Replies(), limit_s=5)
    condition.decide(b"{}", Replies()).withdraw()
    assert judge.heard("cancelinvocation") == []
    clock.advance(5)
    asked = judge.invocations()[0]["invocation_id"]
    assert [each["invocation_id"] for each in judge.heard("cancelinvocation")] == [asked]


def test_nothing_is_told_after_a_withdrawal(condition: Condition, judge: MemoryWorker, clock: FakeClock) -> None:
    replies = Replies()
    decision = condition.decide(b"{}", replies)
    decision.withdraw()
    judge.answer(judge.invocations()[0], True)
    clock.advance(60)
    assert replies == []


def test_it_may_decide_within_the_call(condition: Condition, judge: MemoryWorker) -> None:
    judge.serve(lambda data: False)
    replies = Replies()
    condition.decide(b"{}", replies).withdraw()
    assert replies == [False]


async def test_a_coroutine_can_wait_for_it(condition: Condition, judge: MemoryWorker) -> None:
    judge.serve(lambda data: False)
    assert await reply_of(lambda reply: condition.decide(b"{}", reply)) is False
