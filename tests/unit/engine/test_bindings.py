"""Bindings between owners and providers (01 §7.3–7.8, checks 45–56; T1, T4, T5, T9, N7, N13, W5)."""

import logging
import random
from functools import partial
from typing import Any

import pytest

from iii.engine.bindings import Binding
from iii.protocol.errors import (
    ConnectionClosing,
    InvocationError,
    TriggerRegistrationFailed,
    UnregisterFailed,
)
from iii.protocol.limits import PROVIDER_ACK_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.sensor_module import KEY, SENSOR, Sensors

BAD_CONFIG = {"code": "invalid_config", "message": "api_path is required"}
REGISTER = "engine::register_trigger"


def provider_of(engine: MemoryEngine, type_id: str, **members: Any) -> MemoryWorker:
    worker = engine.connect(**members)
    worker.provide(type_id)
    return worker


def bound_at(provider: MemoryWorker) -> list[str]:
    return [message["id"] for message in provider.heard("registertrigger")]


def unbound_at(provider: MemoryWorker) -> list[str]:
    return [message["id"] for message in provider.heard("unregistertrigger")]


def acknowledge(provider: MemoryWorker, binding_id: str, error: Any = None) -> None:
    message = {"id": binding_id, "trigger_type": "mail", "function_id": "a::b"}
    provider.say({"type": "triggerregistrationresult", **message, **({"error": error} if error else {})})


def refusals(owner: MemoryWorker) -> list[dict[str, Any]]:
    return owner.heard("triggerregistrationresult")


def live(engine: MemoryEngine) -> list[str]:
    return sorted(binding.id for binding in engine.core.bindings)


def parked(engine: MemoryEngine) -> list[str]:
    return sorted(engine.core.bindings.parked)


# -- parking ----------------------------------------------------------------------------------------------------------


def test_01_check_45_an_unknown_type_is_parked_without_an_answer(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    owner = engine.connect()
    owner.forget()

    owner.bind("t", "mail", "a::b")

    assert owner.heard() == []
    assert (live(engine), parked(engine)) == ([], ["t"])
    (record,) = caplog.records
    assert "was NOT activated: its trigger type is not registered. It will be registered auto" in record.getMessage()
    fields = {"trigger": "t", "function": "a::b", "trigger_type": "mail", "hint": ""}
    assert record.__dict__["fields"] == fields


def test_01_check_45_the_log_says_which_module_has_the_type(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.connect().bind("t", "http", "a::b")

    assert 'hint="the module iii-http provides it"' in caplog.text


def test_01_check_45_a_provider_that_comes_gets_what_is_parked(engine: MemoryEngine) -> None:
    owner = engine.connect()
    owner.bind("t", "mail", "a::b", {"box": [1]}, metadata={"m": "é"}, namespace="orders")
    owner.bind("other", "post", "a::b")

    provider = provider_of(engine, "mail")

    assert provider.heard("registertrigger") == [
        {
            "type": "registertrigger", "id": "t", "trigger_type": "mail", "function_id": "a::b",
            "config": {"box": [1]}, "metadata": {"m": "é"}, "namespace": "orders",
        }
    ]  # fmt: skip
    assert (live(engine), parked(engine)) == (["t"], ["other"])


def test_01_7_3_a_live_binding_supersedes_a_parked_one(engine: MemoryEngine) -> None:
    owner = engine.connect()
    owner.bind("t", "post", "a::b")
    provider = provider_of(engine, "mail")

    owner.bind("t", "mail", "a::b")

    assert (live(engine), parked(engine)) == (["t"], [])
    assert bound_at(provider) == ["t"]
    assert bound_at(provider_of(engine, "post")) == []


@pytest.mark.parametrize("field", ["namespace", "trigger_namespace"])
def test_01_7_3_a_blank_namespace_is_refused(engine: MemoryEngine, field: str) -> None:
    owner = engine.connect()

    owner.bind("t", "mail", "a::b", **{field: " "})

    (refusal,) = refusals(owner)
    assert (refusal["id"], refusal["trigger_type"], refusal["function_id"]) == ("t", "mail", "a::b")
    assert refusal["error"] == {
        "code": "INVALID_NAMESPACE",
        "message": f"`{field}` is empty: it was named and left blank. Give it a name, or omit it to use `default`.",
    }
    assert (live(engine), parked(engine)) == ([], [])


# -- answers of providers ---------------------------------------------------------------------------------------------


def test_01_check_46_an_acceptance_is_not_passed_on(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")
    owner.forget()

    acknowledge(provider, "t")

    assert owner.heard() == []
    assert live(engine) == ["t"]


def test_01_check_46_a_refusal_is_passed_on_and_parks(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")

    acknowledge(provider, "t", BAD_CONFIG)

    assert refusals(owner) == [
        {
            "type": "triggerregistrationresult", "id": "t", "trigger_type": "mail", "function_id": "a::b",
            "error": BAD_CONFIG,
        }
    ]  # fmt: skip
    assert (live(engine), parked(engine)) == ([], ["t"])


def test_01_check_46_the_ids_are_those_that_the_owner_gave(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "real::target")

    acknowledge(provider, "t", BAD_CONFIG)  # which names another function

    assert [refusal["function_id"] for refusal in refusals(owner)] == ["real::target"]


def test_01_check_46_a_refused_binding_is_offered_when_the_type_is_registered_again(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    engine.connect().bind("t", "mail", "a::b")
    acknowledge(provider, "t", BAD_CONFIG)
    assert bound_at(provider) == ["t"]

    provider.provide("mail")

    assert bound_at(provider) == ["t", "t"]
    assert live(engine) == ["t"]


def test_01_check_46_a_refused_binding_without_owner_is_parked(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    caller = engine.connect()
    caller.start_call(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})
    (trigger_id,) = live(engine)
    acknowledge(provider, trigger_id)

    acknowledge(provider, trigger_id, BAD_CONFIG)  # on second thoughts

    assert parked(engine) == [trigger_id]
    assert refusals(caller) == []


def test_01_check_47_a_refusal_by_another_worker_is_ignored(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")

    acknowledge(engine.connect(), "t", BAD_CONFIG)
    acknowledge(owner, "t", BAD_CONFIG)

    assert live(engine) == ["t"]
    assert refusals(owner) == []
    assert caplog.text.count("it is not from the provider") == 2


def test_01_check_47_a_refusal_of_an_unknown_id_is_ignored(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("parked", "post", "a::b")
    owner.forget()

    acknowledge(provider, "nobody", BAD_CONFIG)
    acknowledge(provider, "parked", BAD_CONFIG)

    assert owner.heard() == []
    assert parked(engine) == ["parked"]


# -- leaving and coming back ------------------------------------------------------------------------------------------


def test_01_check_48_a_leaving_provider_parks_and_a_returning_one_is_offered_them(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b", {"box": 1})
    owner.forget()

    provider.drop()
    assert (live(engine), parked(engine)) == ([], ["t"])
    assert owner.heard() == []

    back = provider_of(engine, "mail")
    assert [message["config"] for message in back.heard("registertrigger")] == [{"box": 1}]
    assert live(engine) == ["t"]


def test_01_check_48_what_an_owner_left_parked_goes_with_it(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")
    provider.drop()

    owner.drop()

    assert bound_at(provider_of(engine, "mail")) == []
    assert parked(engine) == []


def test_01_check_48_own_bindings_of_a_leaving_provider_go_with_it(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    provider.bind("own", "mail", "a::b")

    provider.drop()

    assert (live(engine), parked(engine)) == ([], [])


def test_01_7_3_a_provider_that_is_leaving_cannot_be_told(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    provider.session.ended = True  # as while it is being cleaned up
    owner = engine.connect()
    owner.forget()

    owner.bind("t", "mail", "a::b")
    answer = owner.call(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})

    assert len(parked(engine)) == 2
    assert "result" in answer
    assert refusals(owner) == []
    provider.session.ended = False


# -- unregistering ----------------------------------------------------------------------------------------------------


def test_01_check_49_a_parked_binding_that_was_unregistered_stays_away(engine: MemoryEngine) -> None:
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")

    owner.say({"type": "unregistertrigger", "id": "t"})

    assert bound_at(provider_of(engine, "mail")) == []


def test_01_check_49_the_provider_of_a_live_binding_is_told(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")

    owner.say({"type": "unregistertrigger", "id": "t"})  # the type is for logs only

    assert provider.heard("unregistertrigger") == [{"type": "unregistertrigger", "id": "t", "trigger_type": "mail"}]
    assert live(engine) == []
    assert not list(engine.core.bindings.of(("default", "mail")))


def test_01_7_8_unregistering_what_is_not_there_does_nothing(engine: MemoryEngine) -> None:
    owner = engine.connect()
    owner.forget()

    owner.say({"type": "unregistertrigger", "id": "t", "trigger_type": "mail"})

    assert owner.heard() == []


def test_N13_only_its_owner_unregisters_a_binding(engine: MemoryEngine, caplog: pytest.LogCaptureFixture) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")

    engine.connect().say({"type": "unregistertrigger", "id": "t", "trigger_type": "mail"})

    assert live(engine) == ["t"]
    assert unbound_at(provider) == []
    assert "Trigger not removed: it belongs to another worker (trigger=t, " in caplog.text


def test_N13_anyone_unregisters_a_binding_without_owner(engine: MemoryEngine) -> None:
    trigger_id = engine.connect().result_of(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})["id"]

    engine.connect().say({"type": "unregistertrigger", "id": trigger_id})

    assert parked(engine) == []


def test_01_check_50_the_provider_is_told_of_each_binding_of_a_leaving_owner(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    for binding_id in ("t", "u", "v"):
        owner.bind(binding_id, "mail", "a::b")
    engine.connect().bind("stays", "mail", "a::b")

    owner.drop()

    assert unbound_at(provider) == ["t", "u", "v"]
    assert live(engine) == ["stays"]


def test_01_check_50_bindings_by_call_stay(engine: MemoryEngine) -> None:
    caller = engine.connect()
    trigger_id = caller.result_of(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})["id"]

    caller.drop()

    assert bound_at(provider_of(engine, "mail")) == [trigger_id]


# -- races ------------------------------------------------------------------------------------------------------------


def test_01_check_51_an_unregistration_races_a_late_refusal(engine: MemoryEngine) -> None:
    chance = random.Random(51)
    provider = provider_of(engine, "mail")
    owner = engine.connect()
    for run in range(100):
        binding_id = f"t{run}"
        owner.bind(binding_id, "mail", "a::b")
        events = [
            partial(acknowledge, provider, binding_id, BAD_CONFIG),
            partial(owner.say, {"type": "unregistertrigger", "id": binding_id}),
        ]
        chance.shuffle(events)

        for event in events:
            event()

        assert (live(engine), parked(engine)) == ([], [])


def test_01_check_51_a_replacement_of_the_provider_races_a_late_refusal(engine: MemoryEngine) -> None:
    chance = random.Random(51)
    owner = engine.connect()
    for run in range(100):
        first = provider_of(engine, "mail")
        owner.bind("t", "mail", "a::b")
        second = engine.connect()
        events = [
            partial(acknowledge, first, "t", BAD_CONFIG),
            partial(second.provide, "mail"),
        ]
        chance.shuffle(events)

        for event in events:
            event()

        binding = engine.core.bindings.live["t"]
        assert binding.provider is not None, run
        assert binding.provider.owner is second.session
        assert bound_at(second) == ["t"]
        owner.say({"type": "unregistertrigger", "id": "t"})
        first.drop()
        second.drop()


# -- providers inside the process -------------------------------------------------------------------------------------


def test_01_check_52_a_bad_config_is_refused_and_nothing_is_kept(engine: MemoryEngine) -> None:
    Sensors.of(engine)
    owner = engine.connect()

    owner.bind("t", SENSOR, "a::b", {"room": 5})

    (refusal,) = refusals(owner)
    assert (refusal["id"], refusal["trigger_type"], refusal["function_id"]) == ("t", SENSOR, "a::b")
    assert refusal["error"] == {
        "code": "trigger_registration_failed",
        "message": "Expected `str`, got `int` - at `$.room`",
    }
    assert (live(engine), parked(engine)) == ([], [])


def test_01_check_52_an_earlier_binding_of_the_id_still_fires(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect(functions=["a::b"])
    owner.bind("t", SENSOR, "a::b", {"room": "hall"})

    owner.bind("t", SENSOR, "a::c", {"room": 5})
    sensors.measure()

    assert len(refusals(owner)) == 1
    assert [call["function_id"] for call in owner.invocations()] == ["a::b"]
    assert sensors.unbound == []


def test_01_check_53_a_missing_config_is_an_empty_one_for_a_module(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect()

    owner.say({"type": "registertrigger", "id": "t", "trigger_type": SENSOR, "function_id": "a::b"})
    owner.say({"type": "registertrigger", "id": "u", "trigger_type": SENSOR, "function_id": "a::b", "config": None})

    assert sensors.bound == [("t", "any"), ("u", "any")]
    assert refusals(owner) == []


def test_01_check_53_a_missing_config_is_null_for_a_worker(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")

    engine.connect().say({"type": "registertrigger", "id": "t", "trigger_type": "mail", "function_id": "a::b"})

    (told,) = provider.heard("registertrigger")
    assert told["config"] is None
    assert "metadata" not in told


def test_01_check_54_a_worker_binds_its_own_type_on_one_connection(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(announce=False)
    worker.provide("mail")
    worker.bind("t", "mail", "a::b")
    worker.announce(name="both", runtime="python", version="0.25.0")

    assert bound_at(worker) == ["t"]
    acknowledge(worker, "t")
    assert worker.result_of("engine::functions::list") is not None  # no stall
    assert live(engine) == ["t"]


# -- by call ----------------------------------------------------------------------------------------------------------


def test_01_check_55_the_error_of_a_worker_provider_is_contained(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    caller = engine.connect()
    call = caller.start_call(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})

    acknowledge(provider, live(engine)[0], BAD_CONFIG)

    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["error"] == {
        "code": "trigger_registration_failed",
        "message": "invalid_config: api_path is required",
    }
    assert (live(engine), parked(engine)) == ([], [])


def test_01_check_55_without_an_acknowledgement_it_is_accepted_after_ten_seconds(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    provider_of(engine, "mail")
    caller = engine.connect()
    call = caller.start_call(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})

    clock.advance(PROVIDER_ACK_S - 0.01)
    assert caller.answer_to(call) is None
    clock.advance(0.02)

    answer = caller.answer_to(call)
    assert answer is not None
    assert live(engine) == [answer["result"]["id"]]


def test_01_7_8_who_waits_for_a_trigger_that_is_removed_is_answered_at_once(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    caller = engine.connect()
    call = caller.start_call(REGISTER, {"trigger_type": "mail", "function_id": "a::b"})
    (trigger_id,) = live(engine)

    provider.say({"type": "unregistertrigger", "id": trigger_id})

    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["result"] == {"id": trigger_id}
    assert live(engine) == []


def test_01_7_8_a_module_that_takes_over_answers_for_the_provider_that_left(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    provider = provider_of(engine, SENSOR)
    caller = engine.connect()
    request = {"trigger_type": SENSOR, "function_id": "a::b"}
    good = caller.start_call(REGISTER, {**request, "config": {"room": "hall"}})
    bad = caller.start_call(REGISTER, {**request, "config": {"room": 5}})
    assert (caller.answer_to(good), caller.answer_to(bad)) == (None, None)

    provider.drop()

    accepted, refused = caller.answer_to(good), caller.answer_to(bad)
    assert accepted is not None
    assert refused is not None
    assert sensors.bound == [(accepted["result"]["id"], "hall")]
    assert refused["error"]["code"] == "trigger_registration_failed"
    assert live(engine) == [accepted["result"]["id"]]


# -- providers in several namespaces ----------------------------------------------------------------------------------


def test_01_check_56_a_binding_moves_to_the_provider_of_its_home_and_back(engine: MemoryEngine) -> None:
    default = provider_of(engine, "mail")
    owner = engine.connect(namespace="shop")
    owner.bind("t", "mail", "a::b")
    assert bound_at(default) == ["t"]
    assert "trigger_namespace" not in default.heard("registertrigger")[0]
    default.forget()

    shop = provider_of(engine, "mail", namespace="shop")

    assert [(message["id"], message["trigger_type"]) for message in default.heard("unregistertrigger")] == [
        ("t", "mail")
    ]
    assert [message["trigger_namespace"] for message in shop.heard("registertrigger")] == ["shop"]
    default.forget()
    shop.drop()
    assert bound_at(default) == ["t"]
    assert live(engine) == ["t"]


def test_01_check_56_a_named_provider_namespace_holds(engine: MemoryEngine) -> None:
    default = provider_of(engine, "mail")
    owner = engine.connect(namespace="shop")
    owner.bind("t", "mail", "a::b", trigger_namespace="default")
    elsewhere = engine.connect()
    elsewhere.bind("u", "mail", "a::b")

    shop = provider_of(engine, "mail", namespace="shop")

    assert bound_at(shop) == []
    assert unbound_at(default) == []


def test_01_check_56_a_named_provider_namespace_has_no_fallback(engine: MemoryEngine) -> None:
    default = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b", trigger_namespace="shop")
    assert (bound_at(default), parked(engine)) == ([], ["t"])

    shop = provider_of(engine, "mail", namespace="shop")

    assert bound_at(shop) == ["t"]
    shop.drop()
    assert (bound_at(default), parked(engine)) == ([], ["t"])


def test_01_check_56_a_move_to_a_provider_that_refuses_parks(engine: MemoryEngine) -> None:
    Sensors.of(engine)
    owner = engine.connect(namespace="shop")
    owner.bind("t", SENSOR, "a::b")
    shop = provider_of(engine, SENSOR, namespace="shop")
    acknowledge(shop, "t", BAD_CONFIG)

    assert parked(engine) == ["t"]
    assert len(refusals(owner)) == 1


# -- the same id again ------------------------------------------------------------------------------------------------


def test_T4_the_same_id_again_replaces_the_binding_and_its_owner(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail")
    first, second = engine.connect(), engine.connect()
    first.bind("t", "mail", "a::b", {"v": 1})

    second.bind("t", "mail", "c::d", {"v": 2})
    first.drop()

    assert [message["config"] for message in provider.heard("registertrigger")] == [{"v": 1}, {"v": 2}]
    assert unbound_at(provider) == []  # it was told to replace
    binding = engine.core.bindings.live["t"]
    assert (binding.owner, binding.function_id) == (second.session, "c::d")


def test_T4_the_same_id_at_another_provider_is_taken_from_the_first(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    mail = provider_of(engine, "mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")

    owner.bind("t", SENSOR, "a::b")
    assert unbound_at(mail) == ["t"]
    assert sensors.bound == [("t", "any")]

    owner.bind("t", "nobody:has", "a::b")
    assert sensors.unbound == ["t"]
    assert parked(engine) == ["t"]


# -- several providers of one type ------------------------------------------------------------------------------------


def test_N7_bindings_go_to_the_newest_provider_and_back(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect(functions=["a::b"])
    owner.bind("t", SENSOR, "a::b")

    provider = provider_of(engine, SENSOR)
    assert sensors.unbound == ["t"]
    assert bound_at(provider) == ["t"]

    provider.drop()
    assert sensors.bound == [("t", "any"), ("t", "any")]
    sensors.measure()
    assert len(owner.invocations()) == 1


def test_N7_a_provider_that_is_asked_again_and_refuses_is_asked_once(engine: MemoryEngine) -> None:
    Sensors.of(engine)
    provider = provider_of(engine, SENSOR)
    owner = engine.connect()
    owner.bind("t", SENSOR, "a::b", {"room": 5})

    provider.drop()

    assert len(refusals(owner)) == 1
    assert parked(engine) == ["t"]


# -- providers that break ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (KeyError("stream_name"), "'stream_name'"),
        (RuntimeError(), "RuntimeError"),
        (InvocationError("x", "y"), "x: y"),
        (ConnectionClosing(), "channel_send_failed: channel closed"),
    ],
)
def test_T9_a_module_that_breaks_refuses(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture, broken: Exception, text: str
) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect()
    owner.bind("before", SENSOR, "a::b")
    sensors.broken = broken

    owner.bind("t", SENSOR, "a::b")

    (refusal,) = refusals(owner)
    assert refusal["id"] == "t"
    assert refusal["error"] == {"code": "trigger_registration_failed", "message": text}
    assert live(engine) == ["before"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[1] is broken
    sensors.broken = None
    owner.bind("after", SENSOR, "a::b")
    assert live(engine) == ["after", "before"]


def test_T9_a_call_for_a_trigger_of_a_module_that_breaks_is_refused(engine: MemoryEngine, clock: FakeClock) -> None:
    Sensors.of(engine).broken = ValueError("on fire")

    error = engine.connect().call(REGISTER, {"trigger_type": SENSOR, "function_id": "a::b"})["error"]

    assert error == {"code": "trigger_registration_failed", "message": "on fire"}
    assert not clock.timers


def test_T9_one_broken_activation_does_not_keep_the_others_from_a_module(engine: MemoryEngine) -> None:
    owner = engine.connect()
    for binding_id in ("t", "u"):
        owner.bind(binding_id, SENSOR, "a::b")
    sensors = Sensors(engine.core)
    sensors.broken = ValueError("on fire")

    engine.core.add_module(sensors)

    assert [refusal["error"]["message"] for refusal in refusals(owner)] == ["on fire", "on fire"]
    assert parked(engine) == ["t", "u"]


@pytest.mark.parametrize(("stuck", "text"), [(OSError("jammed"), "jammed"), (ValueError(), "ValueError")])
def test_T9_a_module_that_breaks_at_unbinding_keeps_the_binding(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture, stuck: Exception, text: str
) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect()
    owner.bind("t", SENSOR, "a::b")
    sensors.stuck = stuck

    owner.say({"type": "unregistertrigger", "id": "t"})
    error = owner.call("engine::unregister_trigger", {"id": "t"})["error"]

    assert live(engine) == ["t"]
    assert error == {"code": "unregister_failed", "message": text}
    assert f"Trigger not removed: its provider failed (trigger=t, reason={text})" in caplog.text
    assert any(record.exc_info is not None and record.exc_info[1] is stuck for record in caplog.records)


@pytest.mark.parametrize("stuck", [OSError("jammed"), UnregisterFailed("jammed")])
def test_T9_a_leaving_owner_is_forgotten_even_if_a_module_does_not_let_go(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture, stuck: Exception
) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect(functions=["a::b"])
    for binding_id in ("t", "u"):
        owner.bind(binding_id, SENSOR, "a::b")
    sensors.stuck = stuck

    owner.drop()

    assert live(engine) == []
    assert caplog.text.count("Provider did not release a trigger") == 2
    assert not engine.core.functions.namespaces_of("a::b")


# -- generations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [[1], "text", 5, True])
def test_W5_metadata_that_is_no_object_is_kept_from_python_providers(engine: MemoryEngine, metadata: Any) -> None:
    python = provider_of(engine, "mail")
    node = provider_of(engine, "post", runtime="node")
    owner = engine.connect()

    owner.bind("t", "mail", "a::b", metadata=metadata)
    owner.bind("u", "post", "a::b", metadata=metadata)

    assert "metadata" not in python.heard("registertrigger")[0]
    assert node.heard("registertrigger")[0]["metadata"] == metadata


def test_W5_metadata_that_is_no_object_is_still_delivered_on_fire(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect(functions=["a::b"])

    owner.bind("t", SENSOR, "a::b", metadata=["x"])
    sensors.measure()

    assert [call["metadata"] for call in owner.invocations()] == [["x"]]


# -- the table itself -------------------------------------------------------------------------------------------------


def test_a_binding_without_owner_and_without_listener_is_registered_and_removed(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    bindings = engine.core.bindings
    bindings.register(Binding("t", SENSOR, "a::b"))
    assert [binding.id for binding in bindings.of(KEY)] == ["t"]

    with pytest.raises(TriggerRegistrationFailed):
        bindings.register(Binding("t", SENSOR, "a::b", config=b"[]"))
    assert bindings.unregister("t")
    assert not bindings.unregister("t")

    assert sensors.unbound == ["t"]
    assert bindings.of(KEY) == []


def test_newcomer_M9_a_misspelt_trigger_type_names_the_nearest(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    worker = engine.connect(name="worker")
    worker.bind("t", "httpp", "svc::f")
    assert "did you mean 'http'?" in caplog.text
    worker.bind("u", "x" * 100_000, "svc::f")
    assert caplog.text.count("did you mean") == 1
