"""Answers made of replies."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw, Struct

from iii.engine.answer import Result, answer
from iii.engine.invocation import Callback, Invocation
from iii.protocol.errors import EnqueueFailed, ErrorCode, InvocationError, PayloadTooLarge
from iii.protocol.reply import Reply

SET_ERROR = ErrorCode("SET_ERROR", means="", do="")


class Doubled(Struct):
    value: Raw


@pytest.fixture
def answers() -> list[bytes | InvocationError | None]:
    return []


@pytest.fixture
def invocation(answers: list[Any]) -> Invocation:
    return Invocation(
        "f", None, b"{}", waiter=Callback(lambda result, error: answers.append(result if error is None else error))
    )


@pytest.mark.parametrize(
    ("result", "sent"), [(Doubled(Raw(b"[1]")), b'{"value":[1]}'), (Raw(b"2"), b"2"), (b"3", b"3"), (None, None)]
)
def test_a_value_is_shaped_and_encoded(
    invocation: Invocation, answers: list[Any], result: Result, sent: bytes | None
) -> None:
    shaped: list[int] = []

    def shape(value: int) -> Result:
        shaped.append(value)
        return result

    answer(invocation, EnqueueFailed, "Failed", shape)(21, None)
    assert (shaped, answers) == ([21], [sent])


@pytest.mark.parametrize("value", [b'{"a":1}', None])
def test_json_is_answered_as_it_is(invocation: Invocation, answers: list[Any], value: bytes | None) -> None:
    reply: Reply[bytes, Exception] = answer(invocation, EnqueueFailed, "Failed")
    reply(value, None)
    assert answers == [value]


def test_an_error_gets_code_and_text(invocation: Invocation, answers: list[Any]) -> None:
    answer(invocation, SET_ERROR, "Failed to set value")(None, OSError("no space"))
    assert str(answers[0]) == "SET_ERROR: Failed to set value: no space"


def test_an_error_for_callers_is_passed_on(invocation: Invocation, answers: list[Any]) -> None:
    answer(invocation, SET_ERROR, "Failed to set value")(None, PayloadTooLarge(2, 1))
    assert answers[0].code == PayloadTooLarge.code


def test_a_value_may_be_refused(invocation: Invocation, answers: list[Any]) -> None:
    def shape(value: int) -> Result:
        raise InvocationError("TOO_MANY", f"{value} is too many")

    answer(invocation, EnqueueFailed, "Failed", shape)(3, None)
    assert str(answers[0]) == "TOO_MANY: 3 is too many"
