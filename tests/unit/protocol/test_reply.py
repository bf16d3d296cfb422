"""Replies that a coroutine waits for."""

from __future__ import annotations

import asyncio

import pytest

from iii.protocol.reply import Reply, reply_of


class Question:
    """Remembers who wants its reply."""

    def __init__(self) -> None:
        self.reply: Reply[int, Exception] | None = None
        self.withdrawn: list[bool] = []

    def ask(self, reply: Reply[int, Exception]) -> Question:
        self.reply = reply
        return self

    def withdraw(self, cancels: bool = False) -> None:
        self.withdrawn.append(cancels)


async def test_a_value_may_come_at_once_or_later() -> None:
    assert await reply_of(lambda reply: reply(1, None)) == 1
    question = Question()
    waiting = asyncio.create_task(reply_of(question.ask))
    await asyncio.sleep(0)
    assert question.reply is not None
    question.reply(2, None)
    assert await waiting == 2
    question.reply(3, None)  # twice is once


async def test_an_error_is_raised() -> None:
    with pytest.raises(OSError, match="no space"):
        await reply_of(lambda reply: reply(None, OSError("no space")))


async def test_one_that_nobody_waits_for_is_withdrawn() -> None:
    question = Question()
    with pytest.raises(TimeoutError):
        await reply_of(question.ask, 0)
    assert question.withdrawn == [True]  # whoever works on it is to stop (P7)

    question = Question()
    waiting = asyncio.create_task(reply_of(question.ask))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert question.withdrawn == [False]
