"""A receipt asks again where that helps, and tells what has become of its job (13 §8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

import iii
from iii.sdk import receipt as receipts
from iii.sdk.receipt import EnqueueResult, receipt

DONE = {
    "id": "J",
    "state": "done",
    "queue": "kept",
    "function_id": "add",
    "created_at": 1,
    "result": 3,
    "result_bytes": 1,
}


class Engine:
    """Answers one call after the other; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def call(self, request: Any) -> Any:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def call_async(self, request: Any) -> Any:
        return self.call(request)


def given(engine: Engine) -> EnqueueResult:
    made = receipt({"messageReceiptId": "J"}, engine)
    assert isinstance(made, EnqueueResult)
    return made


Wait = Callable[..., Any]
WAITS: list[Wait] = [
    lambda made, *more, **named: made.wait(*more, **named),
    lambda made, *more, **named: asyncio.run(made.wait_async(*more, **named)),
]


@pytest.fixture(params=WAITS, ids=["sync", "async"])
def wait(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wait:
    monkeypatch.setattr(receipts, "_PAUSE_S", 0.0)
    chosen: Wait = request.param
    return chosen


def test_13_s8_a_wait_asks_again_after_what_will_pass_and_while_the_job_goes_on(wait: Wait) -> None:
    passing = [
        iii.InvocationError(code)
        for code in ("TIMEOUT", "job_wait_failed", "invocation_stopped", "channel_send_failed")
    ]
    engine = Engine(*passing, {**DONE, "state": "active"}, {**DONE, "state": "waiting"}, DONE)
    assert wait(given(engine)) == 3
    assert len(engine.asked) == 7
    assert {each["function_id"] for each in engine.asked} == {"engine::queue::wait"}
    assert all(each["payload"]["timeout_ms"] <= 3000 < each["timeout_ms"] for each in engine.asked)


def test_13_s8_what_will_not_pass_is_raised_at_once(wait: Wait) -> None:
    engine = Engine(iii.InvocationError("results_not_kept", "'default' keeps no results"))
    with pytest.raises(iii.InvocationError, match="results_not_kept"):
        wait(given(engine))
    assert len(engine.asked) == 1


def test_13_s8_the_time_of_a_wait_ends_also_where_every_call_fails(wait: Wait) -> None:
    engine = Engine(*[iii.InvocationError("TIMEOUT")] * 100_000)
    with pytest.raises(TimeoutError, match=r"job J has not ended within 0\.02 s"):
        wait(given(engine), 0.02)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"state": "dead", "attempts": 2, "error": "boom: no"}, "job J of queue 'kept' failed 2 times: boom: no"),
        ({"state": "cancelled"}, "job J of queue 'kept' was cancelled"),
    ],
    ids=["dead", "cancelled"],
)
def test_13_s8_a_job_without_success_raises_its_status(wait: Wait, status: dict[str, Any], said: str) -> None:
    with pytest.raises(iii.JobNotDone) as raised:
        wait(given(Engine({**DONE, **status})))
    assert (str(raised.value), raised.value.status.state) == (said, status["state"])


def test_13_s8_a_result_that_was_dropped_is_told_and_null_is_one(wait: Wait) -> None:
    with pytest.raises(
        iii.InvocationError, match="result_too_large: job J is done, but its queue keeps no result of 300"
    ):
        wait(given(Engine({**DONE, "result": None, "result_bytes": 300})))
    assert wait(given(Engine({**DONE, "result": None, "result_bytes": 4}))) is None
    assert wait(given(Engine({**DONE, "result": None, "result_bytes": None}))) is None


def test_13_check_9_a_result_of_another_type_is_refused_and_the_type_is_judged_before_any_call(wait: Wait) -> None:
    assert wait(given(Engine(DONE)), returns=float) == 3.0
    with pytest.raises(iii.InvalidResult, match="the result of add is not str: Expected `str`, got `int`"):
        wait(given(Engine(DONE)), returns=str)
    engine = Engine(DONE)
    with pytest.raises(TypeError, match="names in quotes are not resolved"):
        wait(given(engine), returns="int")
    assert engine.asked == []


def test_13_s8_status_and_cancel_in_both_forms() -> None:
    engine = Engine(DONE, DONE, {"cancelled": True}, {"cancelled": False})
    made = given(engine)
    assert (made.id, json.dumps(made)) == ("J", '{"messageReceiptId": "J"}')
    assert made.status() == asyncio.run(made.status_async())
    assert (made.cancel(), asyncio.run(made.cancel_async())) == (True, False)
    assert [each["function_id"] for each in engine.asked] == [
        *["engine::queue::job"] * 2,
        *["engine::queue::cancel"] * 2,
    ]


@pytest.mark.parametrize("answer", [None, [], {"messageReceiptId": 7}, {"id": "J"}], ids=str)
def test_13_s8_what_a_foreign_provider_answers_stays_as_it_is(answer: Any) -> None:
    assert receipt(answer, Engine()) is answer
