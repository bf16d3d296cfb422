"""Who provides a trigger type (01 §7.2, §7.5, check 58; N6, N7) and what happens when it is withdrawn."""

import logging

import pytest

from iii.protocol.limits import IDLE_RELEASE_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.sensor_module import ALARM, SENSOR, Sensors


def withdraw(provider: MemoryWorker, type_id: str, **members: str) -> None:
    provider.say({"type": "unregistertriggertype", "id": type_id, **members})


def bound_at(provider: MemoryWorker) -> list[str]:
    return [message["id"] for message in provider.heard("registertrigger")]


def listed(worker: MemoryWorker) -> set[str]:
    return {row["id"] for row in worker.result_of("engine::triggers::list")["triggers"]}


def provider_key(engine: MemoryEngine, binding_id: str) -> tuple[str, str] | None:
    provider = engine.core.bindings.live[binding_id].provider
    return provider.key if provider is not None else None


# -- withdrawing ------------------------------------------------------------------------------------------------------


def test_01_check_58_a_withdrawn_type_is_gone_and_its_bindings_are_parked(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail")
    owner = engine.connect()
    owner.bind("t", "mail", "a::b")
    assert "mail" in listed(owner)
    owner.forget()

    withdraw(provider, "mail")

    assert "mail" not in listed(owner)
    assert list(engine.core.bindings.parked) == ["t"]
    assert owner.heard("triggerregistrationresult") == []
    provider.provide("mail")
    assert bound_at(provider) == ["t", "t"]


def test_01_check_58_only_the_owner_withdraws_a_type(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail")
    stranger = engine.connect()
    stranger.bind("t", "mail", "a::b")

    withdraw(stranger, "mail")
    withdraw(stranger, "nobody:has")

    assert "mail" in listed(stranger)
    assert list(engine.core.bindings.live) == ["t"]


def test_01_7_6_a_type_withdrawn_at_home_falls_back_to_default(engine: MemoryEngine) -> None:
    default = engine.connect()
    default.provide("mail")
    shop = engine.connect(namespace="shop")
    shop.provide("mail")
    shop.bind("t", "mail", "a::b")
    assert provider_key(engine, "t") == ("shop", "mail")

    withdraw(shop, "mail")

    assert provider_key(engine, "t") == ("default", "mail")
    assert bound_at(default) == ["t"]


def test_01_7_6_a_type_in_a_named_namespace_is_withdrawn_there(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail", namespace="shop")
    owner = engine.connect(namespace="shop")
    owner.bind("t", "mail", "a::b")
    assert provider_key(engine, "t") == ("shop", "mail")

    withdraw(provider, "mail")
    assert provider_key(engine, "t") == ("shop", "mail")
    withdraw(provider, "mail", namespace="shop")

    assert list(engine.core.bindings.parked) == ["t"]


# -- resolving --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("home", "explicit", "expected"),
    [
        (None, None, "default"),
        ("shop", None, "shop"),
        ("garage", None, "default"),
        ("shop", "default", "default"),
        (None, "shop", "shop"),
        ("shop", "garage", None),
    ],
)
def test_01_7_2_a_provider_is_looked_for_where_it_is_named_else_at_home_else_in_default(
    engine: MemoryEngine, home: str | None, explicit: str | None, expected: str | None
) -> None:
    engine.connect().provide("mail")
    engine.connect(namespace="shop").provide("mail")
    owner = engine.connect(namespace=home)

    owner.bind("t", "mail", "a::b", **({"trigger_namespace": explicit} if explicit else {}))

    if expected is None:
        assert list(engine.core.bindings.parked) == ["t"]
    else:
        assert provider_key(engine, "t") == (expected, "mail")


def test_01_7_5_a_type_registered_again_gets_its_live_bindings_again(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail")
    engine.connect().bind("t", "mail", "a::b")

    provider.provide("mail", description="Better mail.")

    assert bound_at(provider) == ["t", "t"]
    assert provider.heard("unregistertrigger") == []
    trigger_type = engine.core.trigger_types.get(("default", "mail"))
    assert trigger_type is not None
    assert trigger_type.description == "Better mail."


def test_01_5_3_what_a_worker_says_about_its_type_is_kept(engine: MemoryEngine) -> None:
    engine.connect().say(
        {"type": "registertriggertype", "id": "mail", "trigger_request_format": {"a": 1}, "call_request_format": [2]}
    )

    trigger_type = engine.core.trigger_types.get(("default", "mail"))

    assert trigger_type is not None
    assert (trigger_type.description, trigger_type.config_schema, trigger_type.call_schema) == ("", b'{"a": 1}', b"[2]")


def test_N2_an_announcement_after_the_silence_moves_types_and_bindings(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(announce=False)
    worker.register("a::b")
    worker.provide("mail")
    worker.bind("t", "mail", "a::b")
    clock.advance(IDLE_RELEASE_S)
    assert provider_key(engine, "t") == ("default", "mail")

    worker.announce(namespace="shop")

    assert [trigger_type.key for trigger_type in engine.core.trigger_types if trigger_type.id == "mail"] == [
        ("shop", "mail")
    ]
    assert provider_key(engine, "t") == ("shop", "mail")
    assert engine.core.functions.namespaces_of("a::b") == ["shop"]


# -- taking over ------------------------------------------------------------------------------------------------------


def test_N7_the_newest_living_provider_serves(engine: MemoryEngine) -> None:
    first, second, third = engine.connect(), engine.connect(), engine.connect()
    for provider in (first, second, third):
        provider.provide("mail")
    engine.connect().bind("t", "mail", "a::b")
    assert (bound_at(first), bound_at(second), bound_at(third)) == ([], [], ["t"])

    second.drop()  # stands by: nothing happens
    assert (bound_at(first), bound_at(third)) == ([], ["t"])
    third.drop()

    assert bound_at(first) == ["t"]


def test_N7_the_replaced_provider_is_told_to_let_go(engine: MemoryEngine) -> None:
    first, second = engine.connect(), engine.connect()
    first.provide("mail")
    engine.connect().bind("t", "mail", "a::b")

    second.provide("mail")

    assert first.heard("unregistertrigger") == [{"type": "unregistertrigger", "id": "t", "trigger_type": "mail"}]
    assert bound_at(second) == ["t"]


def test_N7_a_worker_serves_the_type_of_a_module_until_it_leaves(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    worker = engine.connect()
    worker.provide(SENSOR)
    engine.connect().bind("t", SENSOR, "a::b")
    assert (bound_at(worker), sensors.bound) == (["t"], [])

    worker.drop()

    assert sensors.bound == [("t", "any")]


def test_N6_a_type_of_the_engine_itself_cannot_be_taken(engine: MemoryEngine, caplog: pytest.LogCaptureFixture) -> None:
    sensors = Sensors.of(engine)
    worker = engine.connect()
    worker.forget()

    worker.provide(ALARM)
    worker.bind("t", ALARM, "a::b")

    assert worker.heard() == []  # log only
    assert sensors.bound == [("t", "any")]
    assert f"Trigger type refused: it is the engine's own (trigger_type={ALARM}, worker={worker.id})" in caplog.text


def test_N6_the_module_itself_may_register_its_type_again(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    engine.connect().bind("t", ALARM, "a::b")

    for trigger_type in sensors.trigger_types():
        assert engine.core.trigger_types.register(trigger_type)

    assert sensors.bound == [("t", "any"), ("t", "any")]
    assert sensors.unbound == []


def test_N6_an_engine_id_that_nobody_has_is_free(engine: MemoryEngine) -> None:
    worker = engine.connect()

    worker.provide("engine::unheard-of")

    assert "engine::unheard-of" in {trigger_type.id for trigger_type in engine.core.trigger_types}


@pytest.mark.parametrize("namespace", ["", " \t"])
def test_N3_a_type_in_a_blank_namespace_is_not_registered(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture, namespace: str
) -> None:
    worker = engine.connect()
    worker.forget()

    worker.provide("mail", namespace=namespace)

    assert "mail" not in {trigger_type.id for trigger_type in engine.core.trigger_types}
    assert worker.heard() == []
    assert [record.levelno for record in caplog.records if "its namespace is blank" in record.message] == [
        logging.ERROR
    ]


def test_a_module_that_is_removed_leaves_its_bindings_parked(engine: MemoryEngine) -> None:
    sensors = Sensors.of(engine)
    owner = engine.connect()
    owner.bind("t", SENSOR, "a::b")

    engine.core.remove_module(sensors)

    assert list(engine.core.bindings.parked) == ["t"]
    Sensors.of(engine)
    assert list(engine.core.bindings.live) == ["t"]


# -- functions that are registered beside them ------------------------------------------------------------------------


def test_C18_a_function_called_over_http_is_dropped_and_the_log_is_not_filled(
    engine: MemoryEngine, engine_log: pytest.LogCaptureFixture
) -> None:
    """03 check 63."""
    worker = engine.connect()
    worker.forget()

    for _ in range(200):
        worker.register("a::b", invocation={"url": "http://localhost/"})

    assert worker.heard() == []
    assert not engine.core.functions.namespaces_of("a::b")
    told = [record for record in engine_log.records if "iii-http-functions module is not loaded" in record.message]
    assert [record.levelno for record in told] == [logging.ERROR] * 20


def test_N4_a_namesake_of_a_new_client_stands_by_and_is_told(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    first = engine.connect(name="first", functions=["a::b"])
    second = engine.connect(name="second", functions=["a::b"])

    (rejection,) = second.heard("registrationrejected")
    assert rejection == {
        "type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT", "namespace": "default",
        "function_id": "a::b", "owner_worker_id": first.id,
    }  # fmt: skip
    assert "(function=a::b, namespace=default, worker=second, owner=first)" in caplog.text
    first.unregister("a::b")
    engine.connect().start_call("a::b")
    assert len(second.invocations()) == 1


def test_N6_the_functions_of_the_engine_are_refused_except_the_queue_provider(engine: MemoryEngine) -> None:
    worker = engine.connect()
    worker.register("engine::functions::list", "engine::queue::enqueue")

    (rejection,) = worker.heard("registrationrejected")
    assert (rejection["function_id"], rejection["owner_worker_id"]) == ("engine::functions::list", "")
    assert engine.core.functions.exact("engine::queue::enqueue", "default") is not None


def test_N8_the_log_names_the_process_that_wants_a_name_and_the_one_that_has_it(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    holder = engine.connect(name="billing", pid=11)
    newcomer = engine.connect(name="billing", pid=22)
    clock.advance(0)  # it is sent away after its announcement was answered

    assert f"worker_id={newcomer.id}, pid=22, holder_id={holder.id}, holder_pid=11" in caplog.text
