"""`observe` and its answers: order, checks, states (21 §2–§6, 21 checks 7–12, 28, 29)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.testing import FakeClock, MemoryEngine
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
    states,
    v1,
    v2,
)


def test_21_check_7_functions_are_confirmed_after_the_announcement_in_their_order(engine: MemoryEngine) -> None:
    host = engine.connect(functions=["a::x", "a::y"], announce=False)
    assert host.heard("functionregistered") == []

    host.announce(features=V1)
    host.register("a::z")

    confirmed = host.heard("functionregistered")
    assert [frame["id"] for frame in confirmed] == ["a::x", "a::y", "a::z"]
    assert all(frame["local_dispatch"] and frame["observers"] == [] for frame in confirmed)
    assert [frame["revision"] for frame in confirmed] == sorted({frame["revision"] for frame in confirmed})


def test_21_check_7_provisional_functions_are_confirmed_once(engine: MemoryEngine, clock: FakeClock) -> None:
    host = engine.connect(functions=["a::x", "a::y"], announce=False)
    clock.advance(0.1)  # silence: they apply unannounced (N2)

    host.announce(features=V1)

    assert [frame["id"] for frame in host.heard("functionregistered")] == ["a::x", "a::y"]


def test_21_check_7_clients_without_the_feature_hear_nothing(engine: MemoryEngine) -> None:
    host = old(engine, "a::f", features=["large-messages.v1"])
    watcher = v1(engine, "a::t")

    assert observe(watcher, "o", "a::f", "a::t")["state"] == "active"
    call(watcher, host, "a::f", {})

    assert {frame["type"] for frame in host.heard()} == {"workerregistered", "invokefunction"}
    assert not any({"caller", "observe_depth", "activation"} & frame.keys() for frame in host.heard())


def test_21_check_8_what_comes_before_the_announcement_is_answered_after_it_in_order(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::t"], announce=False)
    for number in range(3):
        worker.say(
            {
                "type": "observe",
                "id": f"o{number}",
                "source": {"function_id": "a::f"},
                "target": {"function_id": "a::t"},
            }
        )
    assert worker.heard("observeresult") == []

    worker.announce(features=V1)

    assert [answer["id"] for answer in worker.heard("observeresult")] == ["o0", "o1", "o2"]


def test_a_client_without_the_feature_is_not_answered(engine: MemoryEngine) -> None:
    worker = old(engine, "a::t")

    worker.say({"type": "observe", "id": "o", "source": {"function_id": "a::f"}, "target": {"function_id": "a::t"}})

    assert worker.heard("observeresult") == []


def test_21_check_9_a_host_that_comes_later_must_acknowledge(engine: MemoryEngine) -> None:
    watcher = v1(engine, "a::t")
    assert observe(watcher, "o", "a::f", "a::t")["state"] == "pending"

    host = v1(engine, "a::f")

    view = host.heard("functionregistered")[-1]["observers"]
    assert view == [
        {
            "id": "o",
            "args": {},
            "filters": {},
            "target": "a::t",
            "capture": ["input", "output", "caller"],
            "on": "success",
        }
    ]
    assert states(watcher, "o") == ["pending"]  # no longer for want of a host
    acknowledge(host)
    assert states(watcher, "o") == ["pending", "active"]


def test_21_check_10_the_target_decides_between_pending_active_and_suspended(engine: MemoryEngine) -> None:
    old(engine, "a::f")
    watcher = v1(engine)
    assert observe(watcher, "o", "a::f", "a::t")["state"] == "pending"

    server = old(engine, "a::t")
    server.unregister("a::t")
    server.register("a::t")

    assert changes(watcher, "o") == [("active", None), ("suspended", "TARGET_UNAVAILABLE"), ("active", None)]


def test_a_builtin_is_a_target_in_any_namespace(engine: MemoryEngine) -> None:
    old(engine, "a::f")
    watcher = v1(engine, namespace="orders")

    answer = observe(watcher, "o", "a::f", "engine::workers::list")

    assert answer["state"] == "active"


CLOSED = {"type": "object", "additionalProperties": False, "properties": {"a": {}}}
ARGS = {"type": "object", "properties": {"rate": {"type": "integer"}}, "required": ["rate"]}


@pytest.mark.parametrize(
    ("source", "members", "code"),
    [
        ("a::t", {}, "SELF_TARGET"),
        ("a::plain", {"args": {"x": 1}}, "INVALID_ARGS"),
        ("a::plain", {"args": [1]}, "INVALID_ARGS"),
        ("a::args", {}, "INVALID_ARGS"),
        ("a::args", {"args": {"rate": "x"}}, "INVALID_ARGS"),
        ("a::plain", {"filters": {"input.a": 1}}, "INVALID_FILTER"),
        ("a::closed", {"filters": {"input.b": {"$eq": 1}}}, "INVALID_FILTER_PATH"),
        ("a::v1closed", {}, "NOT_OBSERVABLE"),
        ("a::v2closed", {}, "NOT_OBSERVABLE"),
        ("engine::workers::list", {}, "NOT_OBSERVABLE"),
        ("a::plain", {"capture": ["inputs"]}, "INVALID_ARGS"),
        ("a::plain", {"on": "never"}, "INVALID_ARGS"),
        ("a::plain", {"deliver": "all"}, "INVALID_ARGS"),
        ("a::plain", {"namespace": " "}, "INVALID_NAMESPACE"),
        ("a::plain", {"args": {"x": "y" * 70_000}}, "LIMIT_EXCEEDED"),
    ],
)
def test_21_check_11_a_refused_observer_leaves_nothing_behind(
    engine: MemoryEngine, source: str, members: Any, code: str
) -> None:
    host = v2(engine, "a::plain", name="host")
    host.register("a::args", args_format=ARGS)
    host.register("a::closed", request_format=CLOSED)
    host.register("a::v1closed", observe={"allow": False})
    host.register("a::v2closed", observable=False)
    watcher = v1(engine, "a::t")
    told = len(host.heard())

    answer = observe(watcher, "o", source, "a::t", source_members=members)

    assert (answer["state"], answer["error"]["code"]) == ("error", code)
    assert answer["error"]["message"]
    assert is_unknown(watcher, "o")
    assert len(host.heard()) == told
    assert observe(watcher, "o", "a::plain", "a::t")["state"] == "pending"


@pytest.mark.parametrize("policy", ["max_fires", "expires_in_ms", "max_in_flight"])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_policies_are_whole_numbers_from_one_on(engine: MemoryEngine, policy: str, value: float) -> None:
    watcher = v1(engine, "a::t")

    answer = observe(watcher, "o", "a::f", "a::t", **{policy: value})

    assert answer["error"]["code"] == "INVALID_ARGS"


def test_21_check_11_an_id_belongs_to_one_living_connection(engine: MemoryEngine) -> None:
    first, second = v1(engine, "a::t"), v1(engine)
    observe(first, "o", "a::f", "a::t")

    answer = observe(second, "o", "a::f", "a::t")

    assert answer["error"]["code"] == "OBSERVER_ID_CONFLICT"
    assert record(first, "o")["worker_id"] == first.id


def test_21_check_12_an_open_schema_is_a_warning(engine: MemoryEngine) -> None:
    host = old(engine)
    host.register("a::f", request_format={"type": "object", "properties": {"meta": {"type": "object"}}})
    watcher = v1(engine, "a::t")

    filters = {"input.x": {"$eq": 1}, "input.meta.y": {"$eq": 1}}
    answer = observe(watcher, "o", "a::f", "a::t", source_members={"filters": filters})

    assert answer["state"] == "active"
    assert answer["warnings"] == [
        "input.meta.y: request_format is open at input.meta; path not verified",
        "input.x: request_format is open; path not verified",
    ]


def test_checks_of_an_unknown_source_are_made_when_a_host_comes(engine: MemoryEngine) -> None:
    watcher = v1(engine, "a::t")
    observe(watcher, "good", "a::f", "a::t")
    observe(watcher, "bad", "a::f", "a::t", source_members={"args": {"x": 1}})

    host = v1(engine, "a::f")

    assert changes(watcher, "bad") == [("error", "INVALID_ARGS")]
    assert record(watcher, "bad")["state"] == "error"
    assert [view["id"] for view in host.heard("functionregistered")[0]["observers"]] == ["good"]


def test_a_function_that_is_closed_later_ends_its_observers(engine: MemoryEngine) -> None:
    host, watcher = v2(engine, "a::f"), v1(engine, "a::t")
    active(watcher, host, "o", "a::f", "a::t")

    host.register("a::f", observable=False)

    assert changes(watcher, "o")[-1] == ("error", "NOT_OBSERVABLE")
    assert host.heard("functionregistered")[-1]["observers"] == []


def test_a_function_without_host_leaves_its_observers_pending(engine: MemoryEngine) -> None:
    host, watcher = v1(engine, "a::f"), v1(engine, "a::t")
    active(watcher, host, "o", "a::f", "a::t")

    host.unregister("a::f")

    assert changes(watcher, "o")[-1] == ("pending", "OWNER_UNAVAILABLE")
    assert host.heard("observerremoved") == []
    another = v1(engine, "a::f")
    acknowledge(another)
    assert changes(watcher, "o")[-1] == ("active", None)


def test_standbys_are_not_confirmed_until_they_serve(engine: MemoryEngine) -> None:
    first, second, watcher = v1(engine, "a::f"), v1(engine, "a::f"), v1(engine, "a::t")
    active(watcher, first, "o", "a::f", "a::t")
    assert second.heard("functionregistered") == []

    first.drop()

    assert [view["id"] for view in second.heard("functionregistered")[-1]["observers"]] == ["o"]


def test_21_check_28_a_private_function_is_for_its_host_and_for_observers(engine: MemoryEngine) -> None:
    host, other = v2(engine), old(engine, "a::t")
    host.register("a::f", private=True)

    refused = other.call("a::f")
    assert refused["error"]["code"] == "FORBIDDEN"
    assert "private" in refused["error"]["message"]
    other.start_call("a::f", action={"type": "void"})
    assert host.invocations() == []

    watcher = v1(engine, "b::t")
    active(watcher, host, "o", "a::f", "b::t")
    call(host, host, "a::f", {})
    assert len(watcher.invocations()) == 1


def test_a_private_function_is_a_target_of_its_hosts_observers_only(engine: MemoryEngine) -> None:
    source, host = old(engine, "a::f"), v2(engine)
    host.register("a::t", private=True)
    watcher = v1(engine)
    observe(host, "own", "a::f", "a::t")
    observe(watcher, "foreign", "a::f", "a::t")

    call(watcher, source, "a::f", {})

    assert [each["activation"]["observer_id"] for each in host.invocations()] == ["own"]
    assert record(watcher, "foreign")["errors"] == 1


@pytest.mark.parametrize("schema", [5, "object", [], {"type": "no such type"}])
@pytest.mark.parametrize("generation", [1, 2])
def test_21_check_29_a_bad_args_format_refuses_that_function_alone(
    engine: MemoryEngine, schema: Any, generation: int
) -> None:
    host = v1(engine, "a::other") if generation == 1 else v2(engine, "a::other")

    members = {"observe": {"args_format": schema}} if generation == 1 else {"args_format": schema}
    host.register("a::f", **members)

    rejected = host.heard("registrationrejected")
    assert [(each["code"], each["function_id"]) for each in rejected] == [("INVALID_ARGS_FORMAT", "a::f")]
    assert host.connected
    assert host.call("a::f")["error"]["code"] == "function_not_found"
    caller = old(engine)
    assert caller.answer_to(call(caller, host, "a::other", {}, 1)) is not None


def test_members_of_v2_are_refused_from_others(engine: MemoryEngine) -> None:
    host, plain = v1(engine), old(engine)

    host.register("a::f", private=True)
    plain.register("a::g", private=True)

    assert [each["code"] for each in host.heard("registrationrejected")] == ["UNSUPPORTED"]
    assert plain.heard("registrationrejected") == []
    caller = old(engine)
    assert caller.answer_to(call(caller, plain, "a::g", {}, 1)) is not None


def test_schemas_that_take_long_are_not_checked_by_the_engine(engine: MemoryEngine) -> None:
    host = v2(engine)
    loop = {"$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}]}}, "$ref": "#/$defs/x"}
    host.register("a::f", args_format=loop)
    watcher = v1(engine, "a::t")

    answer = observe(watcher, "o", "a::f", "a::t", source_members={"args": {"x": 1}})

    assert answer["state"] == "pending"
    assert "not verified by the engine" in answer["warnings"][0]


def test_no_more_observers_than_the_limits(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.engine.observing.store.OBSERVERS_OF_FUNCTION", 2)
    monkeypatch.setattr("iii.engine.observing.store.OBSERVERS", 3)
    watcher = v1(engine, "a::t")

    codes = [
        observe(watcher, f"o{number}", source, "a::t").get("error", {}).get("code")
        for number, source in enumerate(["a::f", "a::f", "a::f", "a::g", "a::h"])
    ]

    assert codes == [None, None, "LIMIT_EXCEEDED", None, "LIMIT_EXCEEDED"]
    watcher.say({"type": "unobserve", "id": "o0"})
    assert observe(watcher, "o9", "a::f", "a::t")["state"] == "pending"


def test_the_bytes_of_observers_have_a_limit(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.engine.observing.store.OBSERVERS_BYTES", 100_000)
    watcher = v1(engine, "a::t")

    answers = [observe(watcher, f"o{number}", "a::f", "a::t", metadata={"x": "y" * 40_000}) for number in range(3)]

    assert answers[-1]["error"]["code"] == "LIMIT_EXCEEDED"
    assert [answer["state"] for answer in answers[:2]] == ["pending", "pending"]


def test_a_record_says_what_there_is_to_know(engine: MemoryEngine) -> None:
    old(engine, "a::f")
    watcher, other = v1(engine, "a::t"), v1(engine)
    observe(
        watcher, "o", "a::f", "a::t", metadata={"k": 1}, max_fires=5, max_in_flight=2,
        source_members={"filters": {"input.x": {"$eq": 1}}, "capture": ["output", "input"], "on": "complete", "deliver": "input"},
    )  # fmt: skip

    found = record(watcher, "o")

    assert found == {
        "id": "o", "function_id": "a::f", "namespace": "default", "target": {"function_id": "a::t", "namespace": "default"},
        "args": {}, "filters": {"$and": [{"input.x": {"$eq": 1}}]}, "capture": ["input", "output"], "on": "complete",
        "deliver": "input", "state": "active", "fires": 0, "errors": 0, "dropped": {}, "max_fires": 5, "max_in_flight": 2,
        "worker_id": watcher.id, "metadata": {"k": 1},
    }  # fmt: skip
    assert "metadata" not in record(other, "o")
    listed = other.result_of("engine::observers::list", {"function_id": "a::f", "state": "active"})["observers"]
    assert [each["id"] for each in listed] == ["o"]
    assert other.result_of("engine::observers::list", {"state": "error"}) == {"observers": []}


@pytest.mark.parametrize("source", [{}, {"function_id": 5}, {"function_id": "a::f", "capture": "input"}])
def test_an_observer_that_cannot_be_read_is_answered(engine: MemoryEngine, source: Any) -> None:
    watcher = v1(engine, "a::t")

    watcher.say({"type": "observe", "id": "o", "source": source, "target": {"function_id": "a::t"}})

    (answer,) = watcher.heard("observeresult")
    assert (answer["id"], answer["error"]["code"]) == ("o", "INVALID_ARGS")


def test_who_does_not_announce_itself_in_time_is_not_heard(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    worker = engine.connect(functions=["a::t"], announce=False)
    said = {"type": "observe", "id": "o", "source": {"function_id": "a::f"}, "target": {"function_id": "a::t"}}
    worker.say(said)
    clock.advance(6)
    worker.say(said)

    worker.announce(features=V1)

    assert worker.heard("observeresult") == []
    assert len([each for each in caplog.records if "Message about observers ignored" in each.message]) == 1


def test_an_info_says_how_a_function_may_be_observed(engine: MemoryEngine) -> None:
    host, watcher = v2(engine, "a::f"), v1(engine, "a::t")
    host.register("a::g", args_format=ARGS, private=True, observable=False)
    observe(watcher, "o", "a::f", "a::t")

    infos = [watcher.result_of("engine::functions::info", {"function_id": each}) for each in ("a::f", "a::g")]

    members = ("args_format", "private", "observable", "observers")
    assert [{key: info[key] for key in members if key in info} for info in infos] == [
        {"observers": 1}, {"args_format": ARGS, "private": True, "observable": False},
    ]  # fmt: skip
