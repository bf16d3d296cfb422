"""Answers that are made a piece in each turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from iii.engine.builtin import BUILTIN_FAILED, LATER, Later
from iii.protocol.errors import InvocationError
from iii.protocol.tracecontext import ids_of

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.engine.invocation import Invocation

T = TypeVar("T")
Steps: TypeAlias = Generator[None, None, T]


def answer_in_steps(engine: Engine, invocation: Invocation, steps: Steps[bytes]) -> Later:
    """Answer with the JSON that the steps come to; at once if that is not much work."""
    engine.turns.go(answered(invocation, steps, bytes))
    return LATER


async def each_in_its_turn(steps: Steps[T]) -> T:
    """What the steps come to; others have a turn of the loop after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)


def answered(invocation: Invocation, steps: Steps[T], answer: Callable[[T], bytes]) -> Steps[None]:
    """Steps that answer with what `answer` makes of the last one."""
    try:
        invocation.complete(answer((yield from steps)))
    except Exception as error:
        BUILTIN_FAILED(error, function=invocation.function_id, **ids_of(invocation.traceparent))
        text = f"internal error in {invocation.function_id}; the engine's log has it"
        invocation.refuse(InvocationError(message=text))
