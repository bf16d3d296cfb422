"""A question to a function of the engine's: one reply, whatever happens (20 §2)."""

from __future__ import annotations

from iii.engine.question import Question
from iii.protocol.errors import InvocationError, InvocationTimeout
from iii.testing import FakeClock, MemoryEngine


class Replies:
    def __init__(self) -> None:
        self.told: list[tuple[bytes | None, InvocationError | None]] = []

    def __call__(self, result: bytes | None, error: InvocationError | None) -> None:
        self.told.append((result, error))


def test_20_2_the_answer_is_told_once(engine: MemoryEngine, clock: FakeClock) -> None:
    engine.connect(functions=["who::f"]).serve(lambda data: {"ok": True})
    replies = Replies()
    question = Question(engine.core.router, clock, "who::f", b"{}", 5.0, replies)
    assert replies.told == [(b'{"ok":true}', None)] or len(replies.told) == 1
    question.withdraw()
    clock.advance(10)
    assert len(replies.told) == 1


def test_20_2_a_function_that_does_not_answer_is_a_timeout(engine: MemoryEngine, clock: FakeClock) -> None:
    engine.connect(functions=["who::f"])
    replies = Replies()
    Question(engine.core.router, clock, "who::f", b"{}", 5.0, replies)
    clock.advance(6)
    [(result, error)] = replies.told
    assert result is None
    assert isinstance(error, InvocationTimeout)


def test_20_2_a_question_that_was_withdrawn_is_not_answered(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(functions=["who::f"])
    replies = Replies()
    question = Question(engine.core.router, clock, "who::f", b"{}", 5.0, replies)
    question.withdraw()
    worker.answer(worker.invocations()[0], {"late": True})
    clock.advance(6)
    assert replies.told == []
