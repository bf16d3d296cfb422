"""Nobody does for a session what it may not do itself, and nobody loses an id to it (20 §4, 20 §5)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.access.forwarded import functions_in
from iii.engine.access.pattern import Patterns
from iii.engine.turns import STEPS
from iii.protocol.names import CONFIGURATION_RELAY, STREAM_RELAY, TOPIC_RELAY
from iii.testing import MemoryEngine
from tests.unit.engine.access.sessions import access, echoes, error_of, raw, refused_triggers

FORBIDDEN = ("FORBIDDEN", "function 'app::private' not allowed in namespace 'default'")


@pytest.mark.parametrize(
    "config",
    [
        {"condition_function_id": "app::private"},
        {"middleware_function_ids": ["api::a", "app::private"]},
        {"_condition_path": "app::private"},
        {"steps": [{"on_error": {"handler_function_id": "app::private"}}]},
        {"function_id": "app::private"},
    ],
)
def test_20_4_functions_in_the_config_of_a_trigger(engine: MemoryEngine, config: dict[str, Any]) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(access=access('match("api::*")'))

    guest.bind("t1", "mail", "api::a", config)

    assert engine.core.bindings.get("t1") is None
    assert refused_triggers(guest) == {"t1": FORBIDDEN}


def test_20_4_escapes_hide_no_function() -> None:
    escaped = b'{"condition_functi\\u006fn_id": "app::private"}'

    assert list(functions_in(escaped)) == ["app::private"]
    assert list(functions_in(raw({"function": "a", "n": [{"b": 1}]}))) == []
    assert list(functions_in(b"null")) == []


def test_20_4_own_functions_may_be_conditions(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f", "own::condition"], access=access())

    guest.bind("t1", "mail", "f", {"condition_function_id": "own::condition"})

    assert engine.core.bindings.get("t1") is not None


@pytest.mark.parametrize("lost", ["f", "own::condition"])
def test_20_4_a_trigger_goes_with_the_function_that_it_was_allowed_for(engine: MemoryEngine, lost: str) -> None:
    """Else it would call what somebody else registers under that id."""
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f", "own::condition"], access=access())
    guest.bind("t1", "mail", "f", {"condition_function_id": "own::condition"})

    guest.unregister(lost)

    assert engine.core.bindings.get("t1") is None


def test_20_4_a_trigger_that_has_another_function_by_now_stays(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f", "g"], access=access())
    guest.bind("t1", "mail", "f")
    guest.bind("t1", "mail", "g")

    guest.unregister("f")
    assert engine.core.bindings.get("t1") is not None
    guest.unregister("g")
    assert engine.core.bindings.get("t1") is None


def test_20_4_a_trigger_goes_when_a_trusted_worker_takes_the_function(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f"], access=access())
    guest.bind("t1", "mail", "f")

    trusted = engine.connect(functions=["f"])

    function = engine.core.functions.find("f", None)
    assert function is not None
    assert function.owner is trusted.session
    assert engine.core.bindings.get("t1") is None


@pytest.mark.parametrize("version", ["0.10.0", "0.25.0"])
def test_N4_an_incumbent_keeps_its_id(engine: MemoryEngine, version: str) -> None:
    trusted = engine.connect(functions=["svc::f"])
    guest = engine.connect(version=version, functions=["svc::f"], access=access('match("*")'))

    assert engine.core.functions.find("svc::f", None) is not None
    trusted.drop()
    assert engine.core.functions.find("svc::f", None) is None  # a standby would serve now
    rejections = guest.heard("registrationrejected")
    assert [each["owner_worker_id"] for each in rejections] == ([""] if version == "0.25.0" else [])


def test_P8_a_session_gets_no_share_of_a_replicated_function(engine: MemoryEngine) -> None:
    copies = {"metadata": {"iii.replicas": "round_robin"}}
    trusted = engine.connect()
    trusted.register("svc::f", **copies)
    echoes(trusted)
    guest = engine.connect(access=access())
    guest.register("svc::f", **copies)

    for _ in range(4):
        engine.connect().result_of("svc::f", {"n": 1})

    assert guest.invocations() == []


def test_P8_a_trusted_worker_shares_nothing_with_sessions_that_came_first(engine: MemoryEngine) -> None:
    copies = {"metadata": {"iii.replicas": "round_robin"}}
    guest = engine.connect(access=access())
    guest.register("svc::f", **copies)
    trusted = engine.connect()
    trusted.register("svc::f", **copies)
    echoes(trusted)

    for _ in range(4):
        engine.connect().result_of("svc::f", {"n": 1})

    assert guest.invocations() == []


def test_20_5_sessions_of_one_identity_are_copies_and_standbys(engine: MemoryEngine) -> None:
    first, second = (engine.connect(functions=["svc::f"], access=access()) for _ in range(2))
    other = engine.connect(functions=["svc::f"], access=access(identity="other"))
    echoes(second)

    first.drop()

    assert engine.connect().result_of("svc::f", {"n": 1}) == {"n": 1}
    assert engine.core.functions.ownership.claims_of(other.session) == []


@pytest.mark.parametrize(
    "function_id",
    ["engine::functions::list", "engine::log::info", "engine::queue::enqueue", "state::set", "stream::get(chat)"],
)
def test_N4_sessions_cannot_be_the_engine(engine: MemoryEngine, function_id: str) -> None:
    guest = engine.connect(access=access('match("*")', namespaces={"orders": Patterns()}), announce=False)
    guest.announce(name="g", version="0.25.0", namespace="orders")

    guest.register(function_id)

    assert engine.core.functions.exact(function_id, "orders") is None


@pytest.mark.parametrize("relay", [TOPIC_RELAY, STREAM_RELAY, CONFIGURATION_RELAY])
def test_20_5_another_engine_may_follow_this_one(engine: MemoryEngine, relay: str) -> None:
    """27 §3 to §5: an adapter `bridge` logs in like a worker."""
    guest = engine.connect(access=access('match("*")'))
    guest.register(f"{relay}1")
    found = engine.core.functions.exact(f"{relay}1", "default")
    assert found is not None
    assert found.owner is guest.session


def test_N7_a_session_takes_no_trigger_type(engine: MemoryEngine) -> None:
    """Neither the same, nor one that those in its namespace would find before that of `default`."""
    provider = engine.connect()
    provider.provide("mail")
    guest = engine.connect(announce=False, access=access(namespaces={"default": Patterns(), "orders": Patterns()}))
    guest.announce(name="g", version="0.25.0", namespace="orders")

    guest.provide("mail")
    guest.provide("mail", namespace="default")
    guest.provide("mail", namespace="elsewhere")

    assert {found.owner for found in engine.core.trigger_types if found.id == "mail"} == {provider.session}


def test_20_5_a_trusted_provider_takes_its_type_for_good(engine: MemoryEngine) -> None:
    engine.connect(access=access()).provide("mail")
    trusted = engine.connect()
    trusted.provide("mail")
    trusted.drop()

    assert engine.core.trigger_types.get(("default", "mail")) is None


def test_T4_a_session_replaces_no_trigger_of_others(engine: MemoryEngine) -> None:
    trusted = engine.connect(functions=["app::private"])
    trusted.provide("mail")
    trusted.bind("t1", "mail", "app::private")
    durable = trusted.start_call("engine::register_trigger", {"trigger_type": "mail", "function_id": "app::private"})
    engine.clock.advance(20)
    durable_id = (trusted.answer_to(durable) or {})["result"]["id"]
    guest = engine.connect(functions=["f"], access=access())

    guest.bind("t1", "mail", "f")
    guest.bind(durable_id, "mail", "f")

    assert {binding.function_id for binding in engine.core.bindings} == {"app::private"}
    assert refused_triggers(guest)["t1"] == ("FORBIDDEN", "trigger 't1' belongs to another worker")


def test_N13_a_session_removes_no_trigger_without_an_owner(engine: MemoryEngine) -> None:
    trusted = engine.connect()
    trusted.provide("mail")
    call = trusted.start_call("engine::register_trigger", {"trigger_type": "mail", "function_id": "app::private"})
    engine.clock.advance(20)
    durable_id = (trusted.answer_to(call) or {})["result"]["id"]
    guest = engine.connect(access=access('match("engine::unregister_trigger")'))

    guest.say({"type": "unregistertrigger", "id": durable_id})

    assert guest.result_of("engine::unregister_trigger", {"id": durable_id}) == {"removed": False}
    assert engine.core.bindings.get(durable_id) is not None


def test_N9_results_of_others_calls_are_ignored(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["svc::f"])
    caller, guest = engine.connect(), engine.connect(access=access('match("*")'))
    call = caller.start_call("svc::f")

    guest.say({"type": "invocationresult", "invocation_id": call, "function_id": "svc::f", "result": "forged"})

    assert caller.answer_to(call) is None
    worker.answer(worker.invocations()[0], "true")
    assert (caller.answer_to(call) or {})["result"] == "true"


def test_P11_a_session_cancels_its_own_calls_only(engine: MemoryEngine) -> None:
    engine.connect(functions=["svc::f"])
    caller = engine.connect()
    call = caller.start_call("svc::f")
    guest = engine.connect(access=access('match("engine::invocations::cancel")'))

    assert guest.result_of("engine::invocations::cancel", {"invocation_id": call}) == {"cancelled": False}


def test_20_5_a_stolen_reattach_token_ends_no_trusted_connection(engine: MemoryEngine) -> None:
    trusted = engine.connect()
    guest = engine.connect(access=access('match("*")'))

    guest.say(
        {
            "type": "reattach", "previous_worker_id": trusted.id, "reattach_token": trusted.session.reattach_token,
        }
    )  # fmt: skip

    assert trusted.connected


def test_20_5_names_belong_to_trusted_workers(engine: MemoryEngine) -> None:
    guest = engine.connect(name="payments", access=access())
    trusted = engine.connect(name="payments")
    late = engine.connect(name="payments", access=access())

    assert engine.core.roster.names[("default", "payments")] is trusted.session
    assert [each["code"] for each in late.heard("registrationrejected")] == ["WORKER_NAMESPACE_CONFLICT"]
    assert guest.connected


def test_20_5_a_silent_trusted_worker_is_not_dropped_for_a_session(engine: MemoryEngine) -> None:
    trusted = engine.connect(name="payments")
    trusted.link.lives = False

    engine.connect(name="payments", access=access())
    engine.clock.advance(10)

    assert trusted.connected
    assert trusted.link.pings == 0


def test_20_4_events_tell_what_lists_would(engine: MemoryEngine) -> None:
    guest = engine.connect(functions=["f"], access=access())

    guest.bind("t1", "engine::functions-available", "f")
    guest.bind("t2", "engine::workers-available", "f")

    assert {code for code, _ in refused_triggers(guest).values()} == {"FORBIDDEN"}
    assert set(refused_triggers(guest)) == {"t1", "t2"}


def test_20_6_the_event_of_functions_shows_a_session_what_it_sees(engine: MemoryEngine) -> None:
    guest = engine.connect(functions=["f"], access=access('match("engine::functions::list")', 'match("api::*")'))
    guest.bind("t1", "engine::functions-available", "f")
    engine.connect(functions=["api::a", "app::private"])

    engine.clock.advance(2)

    shown = {row["function_id"] for row in guest.invocations()[-1]["data"]["functions"]}
    assert "api::a" in shown
    assert not shown & {"app::private", "f", "engine::register_trigger"}


def test_20_8_a_function_of_its_own_is_no_exception(engine: MemoryEngine) -> None:
    guest = engine.connect(functions=["f"], access=access())

    assert error_of(guest, "f")[0] == "FORBIDDEN"


def test_P12_a_drained_session_keeps_no_trusted_program_out(engine: MemoryEngine) -> None:
    who: dict[str, Any] = {"name": "payments-x", "version": "0.10.0", "pid": 77}
    guest = engine.connect(**who, access=access())
    operator = engine.connect()
    operator.start_call("engine::workers::drain", {"worker_id": guest.id, "timeout_ms": 0})
    engine.clock.advance(1)

    trusted = engine.connect(**who, functions=["svc::f"])

    assert not trusted.session.draining


@pytest.mark.parametrize("namespace", ["default", "orders"])
def test_20_5_a_session_does_not_serve_an_auth_function_that_is_away(engine: MemoryEngine, namespace: str) -> None:
    """It would get what others log in with, and say what it may do itself."""
    engine.core.functions.entrusted.hold("config", ["app::auth"])
    guest = engine.connect(announce=False, access=access())
    guest.register("app::auth", "app::other")
    guest.announce(name="g", version="0.25.0", namespace=namespace)

    assert engine.core.functions.find("app::auth", namespace) is None
    assert engine.core.functions.find("app::other", namespace) is not None


def test_20_5_nor_by_its_prefix(engine: MemoryEngine) -> None:
    engine.core.functions.entrusted.hold("config", ["app::auth"])
    engine.connect(functions=["auth"], access=access(prefix="app"))

    assert engine.core.functions.find("app::auth", None) is None


@pytest.mark.parametrize(("pattern", "served"), [("*", False), ("app::auth", True)])
def test_20_5_but_one_whose_token_names_it(engine: MemoryEngine, pattern: str, served: bool) -> None:
    engine.core.functions.entrusted.hold("config", ["app::auth"])
    engine.connect(functions=["app::auth"], access=access(registers=Patterns([pattern])))

    assert (engine.core.functions.find("app::auth", None) is not None) is served


@pytest.mark.parametrize(("exposed", "bound"), [("api::*", False), ("configuration::get", True)])
def test_20_4_values_of_configuration_are_for_those_who_may_get_them(
    engine: MemoryEngine, exposed: str, bound: bool
) -> None:
    engine.connect().provide("configuration")
    guest = engine.connect(functions=["f"], access=access(f'match("{exposed}")'))

    guest.bind("t1", "configuration", "f")

    assert (engine.core.bindings.get("t1") is not None) is bound


def test_20_5_a_session_loses_what_the_configuration_comes_to_trust(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Registered first, trusted later; other functions, and those of a token that names the id, stay."""
    guest = engine.connect(functions=["app::auth", "app::other"], access=access())
    named = engine.connect(
        functions=["app::hook"], access=access(identity="named", registers=Patterns(["*", "app::hook"]))
    )
    trusted = engine.connect(functions=["app::mw"])

    engine.core.functions.entrusted.hold("config", ["app::auth", "app::hook", "app::mw", None])

    find = engine.core.functions.find
    assert [find(each, None) is not None for each in ("app::auth", "app::other")] == [False, True]
    assert all(find(each, None) is not None for each in ("app::hook", "app::mw"))
    assert all(each.connected for each in (guest, named, trusted))
    assert "names the id as auth function, hook, condition or middleware" in caplog.text
    guest.register("app::auth")
    assert find("app::auth", None) is None

    engine.core.functions.entrusted.hold("config", [])
    guest.register("app::auth")
    assert find("app::auth", None) is not None


def test_20_5_nor_while_it_stands_by_for_one_of_its_kind(engine: MemoryEngine) -> None:
    first, second = (engine.connect(functions=["app::auth"], access=access()) for _ in range(2))

    engine.core.functions.entrusted.hold("config", ["app::auth"])

    claims_of = engine.core.functions.ownership.claims_of
    assert [claims_of(each.session) for each in (first, second)] == [[], []]


def test_20_5_nor_one_whose_session_is_about_to_be_cleaned_up(engine: MemoryEngine) -> None:
    """It has left with more than goes in one turn, and judges nothing any more."""
    guest = engine.connect(functions=[*(f"app::f{number}" for number in range(STEPS)), "app::auth"], access=access())
    guest.drop()
    assert engine.core.functions.find("app::auth", None) is not None

    engine.core.functions.entrusted.hold("config", ["app::auth"])

    engine.clock.advance(1)
    assert engine.core.functions.find("app::auth", None) is None


@pytest.mark.parametrize(
    "config", [{"condition_function_id": "app::check"}, {"middleware_function_ids": ["app::a", "app::check"]}]
)
def test_20_5_what_decides_about_a_trusted_trigger_is_not_a_sessions(
    engine: MemoryEngine, config: dict[str, Any]
) -> None:
    """While the trigger is there, whoever was first."""
    engine.connect().provide("mail")
    guest = engine.connect(functions=["app::check"], access=access())
    trusted = engine.connect(functions=["app::target"])

    trusted.bind("t1", "mail", "app::target", config)

    find = engine.core.functions.find
    assert find("app::check", None) is None
    guest.register("app::check")
    assert find("app::check", None) is None

    trusted.say({"type": "unregistertrigger", "id": "t1"})
    guest.register("app::check")
    assert find("app::check", None) is not None
    assert len(engine.core.functions.entrusted) == 0


def test_20_5_what_decides_about_a_trigger_of_a_session_is_its_own_affair(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    guest = engine.connect(functions=["f", "own::condition"], access=access())

    guest.bind("t1", "mail", "f", {"condition_function_id": "own::condition"})

    assert engine.core.bindings.get("t1") is not None
    assert engine.core.functions.find("own::condition", None) is not None


def test_20_5_a_refused_trigger_makes_nothing_a_decider(engine: MemoryEngine) -> None:
    engine.connect().provide("mail")
    trusted = engine.connect(functions=["f"])
    trusted.bind("t1", "mail", "f", {"condition_function_id": "app::check"})
    trusted.drop()

    assert len(engine.core.functions.entrusted) == 0
