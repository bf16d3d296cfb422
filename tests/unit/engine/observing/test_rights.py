"""What sessions with access rules may observe (21 §15, 21 check 34)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.protocol.limits import FILTERED_VALUES, NAMED_FUNCTIONS
from iii.testing import MemoryEngine
from tests.unit.engine.access.sessions import access
from tests.unit.engine.observing.scene import (
    V1,
    acknowledge,
    active,
    call,
    changes,
    is_unknown,
    observe,
    old,
    record,
    v1,
    v2,
)


def code_of(answer: dict[str, object]) -> object:
    error = answer.get("error")
    return error["code"] if isinstance(error, dict) else None


def test_21_check_34_source_and_target_must_be_allowed(engine: MemoryEngine) -> None:
    old(engine, "open::f", "shut::f", "open::t", "shut::t")
    guest = v1(engine, access=access('match("open::*")', 'match("engine::observers::*")'))

    assert code_of(observe(guest, "a", "shut::f", "open::t")) == "FORBIDDEN"
    assert code_of(observe(guest, "b", "open::f", "shut::t")) == "FORBIDDEN"
    assert code_of(observe(guest, "c", "not::there", "open::t")) == "FORBIDDEN"
    assert observe(guest, "d", "open::f", "open::t")["state"] == "active"
    assert is_unknown(guest, "a")


def test_21_check_34_the_functions_of_a_session_are_called_through_the_engine(engine: MemoryEngine) -> None:
    guest = v1(engine, "g::f", access=access())

    assert guest.heard("functionregistered")[0]["local_dispatch"] is False


def test_a_function_of_its_own_is_an_allowed_target_and_is_named_without_the_prefix(engine: MemoryEngine) -> None:
    host = v1(engine, "open::f")
    guest = v1(engine, "t", access=access('match("open::*")', prefix="guest"))

    active(guest, host, "o", "open::f", "t")
    call(old(engine), host, "open::f", {})

    assert [each["function_id"] for each in guest.invocations()] == ["t"]
    assert host.heard("observeradded")[0]["observer"]["target"] == "guest::t"


def test_a_host_with_a_prefix_is_told_its_own_ids(engine: MemoryEngine) -> None:
    guest = v1(engine, "f", access=access(prefix="guest"))
    watcher = v1(engine, "a::t")

    assert guest.heard("functionregistered")[0]["id"] == "f"
    observe(watcher, "o", "guest::f", "a::t")
    assert guest.heard("observeradded")[0]["function_id"] == "f"
    acknowledge(guest)
    guest.say({"type": "invocationsobserved", "items": [{"function_id": "f", "invocation_id": "i", "matched": ["o"]}]})

    assert record(watcher, "o")["state"] == "active"
    assert len(watcher.invocations()) == 1


def test_records_are_shown_to_those_who_may_see_the_function(engine: MemoryEngine) -> None:
    old(engine, "open::f", "shut::f", "open::t")
    watcher = v1(engine)
    observe(watcher, "seen", "open::f", "open::t", metadata={"secret": 1})
    observe(watcher, "hidden", "shut::f", "open::t")
    guest = v1(engine, access=access('match("open::*")', 'match("engine::observers::*")'))

    listed = guest.result_of("engine::observers::list")["observers"]

    assert [each["id"] for each in listed] == ["seen"]
    assert "metadata" not in listed[0]
    assert is_unknown(guest, "hidden")


def test_only_the_same_identity_adopts_observers(engine: MemoryEngine) -> None:
    old(engine, "open::f", "open::t")
    guest = v1(engine, access=access('match("open::*")', identity="one"))
    observe(guest, "o", "open::f", "open::t")
    guest.kill()

    stranger = v1(engine, access=access('match("open::*")', identity="two"))
    assert code_of(observe(stranger, "o", "open::f", "open::t")) == "OBSERVER_ID_CONFLICT"
    again = v1(engine, access=access('match("open::*")', identity="one"))
    assert observe(again, "o", "open::f", "open::t")["state"] == "active"


@pytest.mark.parametrize("target", ["engine::register_trigger", "engine::queue::enqueue"])
def test_a_target_that_does_what_its_payload_says_is_not_for_sessions(engine: MemoryEngine, target: str) -> None:
    old(engine, "open::f")
    guest = engine.connect(features=V1, access=access('match("*")'))

    assert code_of(observe(guest, "o", "open::f", target)) == "FORBIDDEN"


def test_functions_that_args_name_must_be_allowed_like_a_target(engine: MemoryEngine) -> None:
    schema = {"type": "object"}
    v1(engine, "open::t", "shut::m")
    v2(engine, "open::f", args_format=schema)
    guest = v1(engine, "own::m", access=access('match("open::*")'))

    def middleware(function_id: str) -> dict[str, object]:
        return {"args": {"middleware_function_ids": [function_id]}}

    assert code_of(observe(guest, "a", "open::f", "open::t", source_members=middleware("shut::m"))) == "FORBIDDEN"
    assert code_of(observe(guest, "b", "open::f", "open::t", source_members=middleware("own::m"))) != "FORBIDDEN"
    many = {"args": {"function_ids": ["own::m"] * (NAMED_FUNCTIONS + 1)}}
    assert code_of(observe(guest, "c", "open::f", "open::t", source_members=many)) == "FORBIDDEN"


def test_a_target_that_is_no_longer_the_sessions_own_is_not_called_for_it(engine: MemoryEngine) -> None:
    host = old(engine, "open::f")
    guest = v1(engine, "own::t", access=access('match("open::*")'))
    assert observe(guest, "o", "open::f", "own::t")["state"] == "active"

    guest.say({"type": "unregisterfunction", "id": "own::t"})
    other = old(engine, "own::t")
    call(old(engine), host, "open::f", {})

    assert other.invocations() == []
    assert changes(guest, "o")[-1] == ("suspended", "FORBIDDEN")


def test_a_session_observes_nothing_that_its_new_rights_do_not_allow(engine: MemoryEngine) -> None:
    host = old(engine, "open::f")
    allowed, none = access('match("open::*")'), access()
    guest = v1(engine, "own::t", access=allowed)
    assert observe(guest, "o", "open::f", "own::t")["state"] == "active"
    (peer,) = [each for each in engine.core.roster.connections.values() if each.guard is not None]
    assert peer.guard is not None

    for rights, state in ((none, "suspended"), (allowed, "active")):
        peer.guard.renew(rights)
        engine.core.turns.go(engine.core.observers.rights_changed(peer))
        assert changes(guest, "o")[-1][0] == state
    call(old(engine), host, "open::f", {})
    assert len(guest.invocations()) == 1


def test_21_check_34_secrets_of_others_stay_theirs(engine: MemoryEngine) -> None:
    host, trusted = v1(engine, "open::f"), v1(engine, "open::t")
    guest = v1(engine, "t", access=access('match("open::*")', prefix="guest"))
    active(guest, host, "envelope", "open::f", "t")
    active(guest, host, "input", "open::f", "t", source_members={"deliver": "input"})
    active(trusted, host, "all", "open::f", "open::t", source_members={"capture": ["input", "metadata"]})

    sent = {"name": "ada", "card": [{"api_key": "k1"}], "password": {"text": "p1"}}
    call(old(engine), host, "open::f", sent, {"token": "t1"})

    hidden = {"name": "ada", "card": [{"api_key": "[hidden]"}], "password": "[hidden]"}
    envelope, by_input = [each["data"] for each in guest.invocations()]
    assert (envelope["input"], envelope["output"]) == (hidden, {"token": "[hidden]"})
    assert {key: by_input[key] for key in sent} == hidden
    assert trusted.invocations()[0]["data"]["input"] == sent


def test_21_check_34_a_part_that_is_too_large_to_be_looked_into_is_hidden(engine: MemoryEngine) -> None:
    host = v1(engine, "open::f")
    guest = v1(engine, "t", access=access('match("open::*")', prefix="guest"))
    active(guest, host, "o", "open::f", "t")

    call(old(engine), host, "open::f", {"password": "p", "n": [0] * FILTERED_VALUES}, "x" * 2_000_000)

    (envelope,) = [each["data"] for each in guest.invocations()]
    assert (envelope["input"], envelope["output"]) == ("[hidden]", "[hidden]")


@pytest.mark.parametrize(
    "source",
    [
        {"capture": ["input", "metadata"]},
        {"filters": {"metadata.user": {"$eq": "ada"}}},
        {"filters": {"$or": [{"input.card": {"$any": {"@.api_key": {"$prefix": "a"}}}}]}},
        {"filters": {"$not": {"output.token": {"$exists": True}}}},
        {"filters": {"input": {"$eq": {"user": "ada", "password": "p1"}}}},
        {"filters": {"input.cards": {"$any": {"$in": [7, [{"api_key": "k1"}]]}}}},
    ],
)
def test_21_check_34_a_session_does_not_ask_for_what_is_not_for_it(
    engine: MemoryEngine, source: dict[str, Any]
) -> None:
    old(engine, "open::f", "open::t")
    guest = v1(engine, "t", access=access('match("open::*")', 'match("engine::observers::*")', prefix="guest"))

    assert code_of(observe(guest, "a", "open::f", "t", source_members=source)) == "FORBIDDEN"
    assert is_unknown(guest, "a")
    assert observe(v1(engine), "b", "open::f", "open::t", source_members=source)["state"] == "active"
