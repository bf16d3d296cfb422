"""Equal bindings of workers with the same function are one with several owners (P9, T4, N13)."""

from typing import Any

import pytest

from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.sensor_module import SENSOR, Sensors

MARKED = {"iii.replicas": "round_robin"}


@pytest.fixture
def sensors(engine: MemoryEngine) -> Sensors:
    return Sensors.of(engine)


def copies(engine: MemoryEngine, count: int, *, marked: bool = True, version: str = "0.25.0") -> list[MemoryWorker]:
    """So many workers with `svc::f`."""
    workers = [engine.connect(version=version) for _ in range(count)]
    for worker in workers:
        worker.register("svc::f", **({"metadata": MARKED} if marked else {}))
    return workers


def live(engine: MemoryEngine) -> list[str]:
    return sorted(binding.id for binding in engine.core.bindings)


def heard(*workers: MemoryWorker) -> list[int]:
    return [len(worker.invocations()) for worker in workers]


@pytest.mark.parametrize("version", ["0.10.0", "0.25.0"])
@pytest.mark.parametrize("marked", [True, False])
def test_P9_equal_bindings_of_copies_and_standbys_fire_once(
    engine: MemoryEngine, sensors: Sensors, marked: bool, version: str
) -> None:
    a, b = copies(engine, 2, marked=marked, version=version)
    a.bind("ta", SENSOR, "svc::f", {"room": "x"})
    b.bind("tb", SENSOR, "svc::f", {"room": "x"})
    assert sensors.bound == [("ta", "x")]
    sensors.measure()
    sensors.measure()
    assert sum(heard(a, b)) == 2
    assert a.heard("triggerregistrationresult") == b.heard("triggerregistrationresult") == []


def test_P9_spelling_and_order_of_members_do_not_count(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    a.say(
        '{"type":"registertrigger","id":"ta","trigger_type":"sensor","function_id":"svc::f","config":{"room":"é","n":1}}'
    )
    b.say(
        '{"type":"registertrigger", "id":"tb","trigger_type":"sensor","function_id":"svc::f",'
        '"config":{"n": 1, "room": "\\u00e9"}}'
    )
    assert live(engine) == ["ta"]


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"room": "y"}},
        {"function_id": "svc::g"},
        {"trigger_type": "engine::alarm"},
        {"trigger_namespace": "default"},
    ],
)
def test_P9_others_are_others(engine: MemoryEngine, sensors: Sensors, other: dict[str, Any]) -> None:
    a, b = copies(engine, 2)
    for worker in (a, b):
        worker.register("svc::g", metadata=MARKED)
    given: dict[str, Any] = {"trigger_type": SENSOR, "function_id": "svc::f", "config": {"room": "x"}}
    a.bind("ta", **given)
    b.bind("tb", **(given | other))
    assert live(engine) == ["ta", "tb"]


def test_P9_both_owners_need_a_claim(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    stranger = engine.connect()
    stranger.bind("ts", SENSOR, "svc::f")
    a.bind("ta", SENSOR, "svc::f")
    b.bind("tb", SENSOR, "svc::f")
    assert live(engine) == ["ta", "ts"]
    stranger.register("svc::f", metadata=MARKED)  # now it has
    assert live(engine) == ["ta"]
    assert sensors.unbound == ["ts"]
    stranger.unregister("svc::f")
    assert live(engine) == ["ta", "ts"]
    stranger.drop()
    assert live(engine) == ["ta"]


def test_P9_the_first_to_claim_becomes_the_one_that_others_join(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = engine.connect(), engine.connect()
    a.bind("ta", SENSOR, "svc::f")
    a.register("svc::f", metadata=MARKED)
    b.register("svc::f", metadata=MARKED)
    b.bind("tb", SENSOR, "svc::f")
    assert live(engine) == ["ta"]


def test_P9_two_equal_ones_of_one_connection_are_two(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    for number in range(2):
        a.bind(f"a{number}", SENSOR, "svc::f")
    assert live(engine) == ["a0", "a1"]
    for number in range(3):
        b.bind(f"b{number}", SENSOR, "svc::f")
    assert live(engine) == ["a0", "a1", "b2"]
    a.drop()
    assert live(engine) == ["a0", "a1", "b2"]
    for number in range(2):
        b.say({"type": "unregistertrigger", "id": f"b{number}"})
    assert live(engine) == ["b2"]


def test_P9_it_lives_as_long_as_one_owner_and_the_provider_hears_nothing(
    engine: MemoryEngine, sensors: Sensors
) -> None:
    a, b, c = copies(engine, 3)
    for name, worker in (("ta", a), ("tb", b), ("tc", c)):
        worker.bind(name, SENSOR, "svc::f")
    a.drop()
    b.say({"type": "unregistertrigger", "id": "tb"})
    sensors.measure()
    assert (heard(b, c), sensors.unbound) == ([1, 0], [])  # `b` still serves the function
    c.kill()
    assert sensors.unbound == ["ta"]
    assert live(engine) == []


def test_P9_a_worker_that_comes_again_joins_under_any_id(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    a.bind("nightly", SENSOR, "svc::f")
    b.bind("nightly", SENSOR, "svc::f")
    for _ in range(3):
        a.drop()
        (a,) = copies(engine, 1)
        a.bind("nightly", SENSOR, "svc::f")
        a, b = b, a
    assert sensors.bound == [("nightly", "any")]
    assert live(engine) == ["nightly"]
    a.say({"type": "unregistertrigger", "id": "nightly"})
    assert live(engine) == ["nightly"]
    b.say({"type": "unregistertrigger", "id": "nightly"})
    assert live(engine) == []


def test_T4_the_id_with_another_config_replaces_it_for_all(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    a.bind("t", SENSOR, "svc::f")
    b.bind("t", SENSOR, "svc::f")
    b.bind("t", SENSOR, "svc::f", {"room": "new"})
    assert [binding.config for binding in engine.core.bindings] == [b'{"room": "new"}']
    b.drop()
    assert live(engine) == []


def test_T4_owners_with_another_id_keep_theirs(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b, c = copies(engine, 3)
    for name, worker in (("ta", a), ("tb", b), ("tc", c)):
        worker.bind(name, SENSOR, "svc::f")
    a.bind("ta", SENSOR, "svc::f", {"room": "new"})
    assert live(engine) == ["ta", "tb"]
    b.bind("tc", SENSOR, "svc::f", {"room": "newer"})  # an id of `c`'s
    assert live(engine) == ["ta", "tb", "tc"]
    c.drop()
    assert live(engine) == ["ta", "tb", "tc"]
    b.drop()
    assert live(engine) == ["ta"]


def test_T4_the_id_of_an_owner_that_left_may_be_taken(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    a.bind("ta", SENSOR, "svc::f")
    b.bind("tb", SENSOR, "svc::f")
    a.drop()
    (c,) = copies(engine, 1)
    c.bind("ta", SENSOR, "svc::f", {"room": "other"})
    assert live(engine) == ["ta", "tb"]
    b.drop()
    assert live(engine) == ["ta"]


def test_T4_a_refused_replacement_changes_nothing(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    a.bind("ta", SENSOR, "svc::f")
    b.bind("tb", SENSOR, "svc::f")
    b.bind("tb", SENSOR, "svc::f", {"room": 3})
    assert [result["id"] for result in b.heard("triggerregistrationresult")] == ["tb"]
    a.drop()
    assert live(engine) == ["ta"]  # it is `b`'s


def test_P9_the_same_again_changes_nothing(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    for _ in range(2):
        a.bind("ta", SENSOR, "svc::f")
        b.bind("tb", SENSOR, "svc::f")
    a.drop()
    b.say({"type": "unregistertrigger", "id": "tb"})
    assert live(engine) == []


@pytest.mark.parametrize("leaver", [0, 1])
def test_P9_an_owner_without_its_function_goes_on_alone(engine: MemoryEngine, sensors: Sensors, leaver: int) -> None:
    workers = copies(engine, 3)
    for number, worker in enumerate(workers):
        worker.bind(f"t{number}", SENSOR, "svc::f")
    workers[leaver].unregister("svc::f")
    assert len(live(engine)) == 2
    workers.pop(leaver).drop()
    assert len(live(engine)) == 1
    for worker in workers:
        worker.drop()
    assert live(engine) == []


def test_P9_an_owner_without_its_function_leaves_the_common_id_to_the_others(
    engine: MemoryEngine, sensors: Sensors
) -> None:
    a, b = copies(engine, 2)
    for worker in (a, b):
        worker.bind("t", SENSOR, "svc::f")
    b.unregister("svc::f")
    assert live(engine) == ["t"]
    b.drop()
    a.drop()
    assert live(engine) == []


def test_P9_an_owner_that_goes_on_alone_may_be_refused(engine: MemoryEngine, sensors: Sensors) -> None:
    a, b = copies(engine, 2)
    a.bind("ta", SENSOR, "svc::f")
    b.bind("tb", SENSOR, "svc::f")
    sensors.broken = RuntimeError("no room")
    b.unregister("svc::f")
    assert [result["id"] for result in b.heard("triggerregistrationresult")] == ["tb"]
    assert live(engine) == ["ta"]


def test_N13_only_an_owner_unregisters(
    engine: MemoryEngine, sensors: Sensors, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = copies(engine, 2)
    a.bind("ta", SENSOR, "svc::f")
    b.bind("tb", SENSOR, "svc::f")
    b.say({"type": "unregistertrigger", "id": "ta"})
    assert "belongs to another worker" in caplog.text
    assert a.call("engine::unregister_trigger", {"id": "tb"})["result"] == {"removed": False}  # no trigger by that id
    assert b.call("engine::unregister_trigger", {"id": "ta"})["error"]["code"] == "FORBIDDEN"
    assert a.call("engine::unregister_trigger", {"id": "ta"})["result"] == {"removed": True}
    assert live(engine) == ["ta"]
    assert b.call("engine::unregister_trigger", {"id": "tb"})["result"] == {"removed": True}
    assert live(engine) == []


def test_P9_a_provider_that_refuses_is_told_to_every_owner(engine: MemoryEngine) -> None:
    a, b = copies(engine, 2)
    provider = engine.connect()
    provider.provide("mail")
    a.bind("ta", "mail", "svc::f")
    b.bind("tb", "mail", "svc::f")
    assert [message["id"] for message in provider.heard("registertrigger")] == ["ta"]
    provider.say(
        {
            "type": "triggerregistrationresult", "id": "ta", "trigger_type": "mail", "function_id": "svc::f",
            "error": {"code": "E", "message": "no"},
        }
    )  # fmt: skip
    assert [result["id"] for result in a.heard("triggerregistrationresult")] == ["ta"]
    assert [result["id"] for result in b.heard("triggerregistrationresult")] == ["tb"]
    b.drop()
    a.drop()


def test_P9_parked_ones_are_one_too(engine: MemoryEngine) -> None:
    a, b = copies(engine, 2)
    a.bind("ta", "mail", "svc::f")
    b.bind("tb", "mail", "svc::f")
    assert sorted(engine.core.bindings.parked) == ["ta"]
    a.drop()
    provider = engine.connect()
    provider.provide("mail")
    assert [message["id"] for message in provider.heard("registertrigger")] == ["ta"]
    b.drop()
    assert [message["id"] for message in provider.heard("unregistertrigger")] == ["ta"]


def test_P9_in_another_namespace_it_is_another(engine: MemoryEngine, sensors: Sensors) -> None:
    workers = [engine.connect(namespace=namespace) for namespace in ("one", "two")]
    for worker, namespace in zip(workers, ("one", "two"), strict=True):
        worker.register("svc::f", metadata=MARKED)
        worker.bind(f"t-{namespace}", SENSOR, "svc::f", namespace=namespace)
    assert live(engine) == ["t-one", "t-two"]


def test_P9_an_announcement_that_comes_late_takes_the_share_along(
    engine: MemoryEngine, sensors: Sensors, clock: FakeClock
) -> None:
    (a,) = copies(engine, 1)
    a.bind("ta", SENSOR, "svc::f")
    late = engine.connect(announce=False)
    late.register("svc::f", metadata=MARKED)
    late.bind("tl", SENSOR, "svc::f")
    clock.advance(0.1)
    assert live(engine) == ["ta"]
    late.announce(name="late", version="0.25.0", runtime="python", namespace="orders")
    clock.advance(0.1)
    assert live(engine) == ["ta", "tl"]  # it calls the function of `default`, where `late` has none any more
    assert heard(a, late) == [0, 0]


def test_P9_there_are_never_more_than_one_connection_has(engine: MemoryEngine, sensors: Sensors) -> None:
    workers = copies(engine, 3)
    for name, worker in zip("abc", workers, strict=True):
        for number in range(3):
            worker.bind(f"{name}{number}", SENSOR, "svc::f")
    for name, worker, number in zip("abc", workers, (1, 2, 0), strict=True):
        worker.say({"type": "unregistertrigger", "id": f"{name}{number}"})
    assert len(live(engine)) == 2
    for name, worker, number in zip("abc", workers, (0, 1, 2), strict=True):
        worker.say({"type": "unregistertrigger", "id": f"{name}{number}"})
    assert len(live(engine)) == 1


def test_P9_nothing_is_kept(engine: MemoryEngine, sensors: Sensors) -> None:
    workers = copies(engine, 3)
    for number, worker in enumerate(workers):
        worker.bind(f"t{number}", SENSOR, "svc::f")
        worker.bind("same", SENSOR, "svc::f", {"room": "x"})
    workers[1].unregister("svc::f")
    for worker in workers:
        worker.drop()
    assert not engine.core.registry.binding_owners
