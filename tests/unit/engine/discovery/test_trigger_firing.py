"""Triggers are fired by hand (24 §11)."""

from __future__ import annotations

import logging

import pytest

from iii.engine.access.pattern import Patterns
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, error_of

FIRE = "engine::fire_trigger"


def bound(engine: MemoryEngine, function_id: str = "app::f") -> MemoryWorker:
    """A worker whose function the trigger `t` calls."""
    worker = engine.connect(name="shop", functions=["app::f"])
    worker.provide("mail")
    worker.say(
        {
            "type": "registertrigger", "id": "t", "trigger_type": "mail", "function_id": function_id, "config": {"condition_function_id": "app::no"},
            "metadata": {"m": 1},
        }
    )  # fmt: skip
    return worker


def test_24_11_the_function_gets_the_event_and_its_answer_is_the_answer(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    worker, caller = bound(engine), engine.connect(name="me")
    with caplog.at_level(logging.INFO):
        call = caller.start_call(FIRE, {"id": "t", "payload": {"subject": "hello"}})
    asked = worker.invocations()[-1]

    assert (asked["data"]["subject"], asked["metadata"]) == ("hello", {"m": 1})
    assert caller.answer_to(call) is None
    worker.answer(asked, {"read": True})
    assert (caller.answer_to(call) or {})["result"] == {"read": True}
    assert "Trigger fired by hand" in caplog.text
    assert "who=me" in caplog.text


def test_24_11_its_error_is_the_error(engine: MemoryEngine) -> None:
    worker, caller = bound(engine), engine.connect()
    call = caller.start_call(FIRE, {"id": "t"})

    worker.answer(worker.invocations()[-1], error={"code": "boom", "message": "no"})

    assert (caller.answer_to(call) or {})["error"]["code"] == "boom"
    assert error_of(caller, FIRE, {"id": "other"})[0] == "NOT_FOUND"


def test_24_11_a_trigger_that_fires_triggers_is_not_fired(engine: MemoryEngine) -> None:
    """An event within events within events would be calls within calls within calls."""
    bound(engine, FIRE)
    assert error_of(engine.connect(), FIRE, {"id": "t", "payload": {"id": "t"}})[0] == "INVALID_ARGUMENTS"


def test_24_11_who_cancels_the_call_cancels_that_of_the_function(engine: MemoryEngine) -> None:
    worker, caller = bound(engine), engine.connect()
    call = caller.start_call(FIRE, {"id": "t"})

    caller.result_of("engine::invocations::cancel", {"invocation_id": call})

    assert not worker.session.handling
    assert (caller.answer_to(call) or {})["error"]["code"] == "CANCELLED"


def test_24_11_a_session_fires_what_it_may_call(engine: MemoryEngine) -> None:
    worker = bound(engine)
    may = engine.connect(access=access(f'match("{FIRE}")', 'match("app::*")'))
    may_not = engine.connect(access=access(f'match("{FIRE}")', identity="x"))
    sees = engine.connect(access=access(f'match("{FIRE}")', identity="y", seen=access('match("*")').rules.exposed))

    assert error_of(may_not, FIRE, {"id": "t"})[0] == "NOT_FOUND"
    assert error_of(sees, FIRE, {"id": "t"})[0] == "FORBIDDEN"
    assert worker.invocations() == []
    may.start_call(FIRE, {"id": "t"})
    assert len(worker.invocations()) == 1


def test_24_11_what_answers_by_its_caller_answers_to_the_session(engine: MemoryEngine) -> None:
    bound(engine, "engine::functions::list")
    guest = engine.connect(
        access=access(f'match("{FIRE}")', 'match("engine::functions::list")', forbidden=Patterns(["app::f"]))
    )

    listed = guest.result_of(FIRE, {"id": "t", "payload": {}})

    assert "app::f" not in {row["function_id"] for row in listed["functions"]}
