"""Observers of the SDK at an engine that is a script: what it is told, and what becomes of its answers (28)."""

import asyncio
import threading
from typing import Any

import msgspec
import pytest

import iii
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import ANNOUNCE, FakeConnection, FakeEngine, Message

FEATURES = ["observe.v1", "observe.v2", "local-dispatch.v1"]


@pytest.fixture
def engine(engine: FakeEngine) -> FakeEngine:
    engine.features = FEATURES
    return engine


@pytest.fixture
def worker(engine: FakeEngine, connect: Connect) -> iii.Worker:
    return connect()


def answer(connection: FakeConnection, observer_id: str, state: str = "active", **members: Any) -> None:
    connection.send({"type": "observeresult", "id": observer_id, "state": state} | members)


def change(connection: FakeConnection, observer_id: str, state: str, code: str | None = None, fires: int = 0) -> None:
    reason = {"reason": {"code": code, "message": f"it is {state}"}} if code else {}
    connection.send({"type": "observerstatechanged", "id": observer_id, "state": state, "fires": fires} | reason)


def announcements(connection: FakeConnection) -> list[Message]:
    return [each["data"] for each in connection.of("invokefunction", function_id=ANNOUNCE)]


def told(connection: FakeConnection) -> list[str]:
    """What was said about observers, in order, with the announcements around it."""
    found = connection.of("observe", "unobserve", "invokefunction")
    return [each.get("function_id") or f"{each['type']} {each['id']}" for each in found]


def test_28_check_1_an_observer_is_told_as_published_clients_tell_it(engine: FakeEngine, worker: iii.Worker) -> None:
    observer = worker.observe(
        "orders::create",
        "alerts::big",
        where={"input.total": {"$gte": 500}},
        metadata={"team": "ops"},
        max_in_flight=4,
        observer_id="o1",
    )
    connection = engine.connection()
    assert connection.message("observe") == {
        "type": "observe",
        "id": "o1",
        "source": {"function_id": "orders::create", "filters": {"input.total": {"$gte": 500}}},
        "target": {"function_id": "alerts::big"},
        "metadata": {"team": "ops"},
        "max_in_flight": 4,
    }
    assert (observer.id, observer.state, observer.reason) == ("o1", "pending", None)
    answer(connection, "o1")
    observer.ready()
    assert observer.state == "active"


def test_28_check_1_all_options_travel_and_defaults_do_not(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(namespace="shop")
    worker.observe("engine::on-workers-changed", "f", on="complete", deliver="input", capture=[], args={"topic": "t"})
    worker.observe("g", "f", namespace="other", max_fires=1, expires_in_ms=2, capture=["error"])
    connection = engine.connection()
    engine.wait(lambda: len(connection.of("observe")) == 2)
    first, second = connection.of("observe")
    assert first["source"] == {
        "function_id": "engine::on-workers-changed", "namespace": "default", "args": {"topic": "t"}, "capture": [],
        "on": "complete", "deliver": "input",
    }  # fmt: skip
    assert first["target"] == {"function_id": "f", "namespace": "shop"}
    assert second["source"] == {"function_id": "g", "namespace": "other", "capture": ["error"]}
    assert (second["max_fires"], second["expires_in_ms"]) == (1, 2)


def test_28_check_2_a_worker_that_observes_nothing_announces_no_observers(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    connection = engine.connection()
    assert [each["features"] for each in announcements(connection)] == [
        ["large-messages.v1", "cancel.v1", "drain.v1", "traces.v1", "traces.v2", "batch.v1"]
    ]
    worker.observe("f", "g", observer_id="one")
    worker.observe("f", "g", observer_id="two")
    engine.wait(lambda: len(connection.of("observe")) == 2)
    assert told(connection) == [ANNOUNCE, ANNOUNCE, "observe one", "observe two"]
    assert announcements(connection)[1]["features"] == [
        "large-messages.v1",
        "cancel.v1",
        "drain.v1",
        "traces.v1",
        "traces.v2",
        "batch.v1",
        "observe.v1",
    ]


def test_28_check_3_a_new_connection_hears_of_all_again_under_their_ids(engine: FakeEngine, worker: iii.Worker) -> None:
    kept, gone = (worker.observe("f", "g", observer_id=each) for each in ("kept", "gone"))
    first = engine.connection()
    engine.wait(lambda: len(first.of("observe")) == 2)
    answer(first, "kept")
    answer(first, "gone")
    kept.ready()
    gone.ready()
    states: list[str] = []
    kept.on_state_change(states.append)
    first.drop()
    engine.wait(lambda: kept.state == "suspended")
    assert kept.reason == "OBSERVER_DISCONNECTED: the worker is not connected"
    second = engine.connection(2)
    second.message("observe", id="kept")
    answer(second, "kept")
    kept.ready()
    engine.wait(lambda: states == ["suspended", "active"])  # who waits is told before listeners are
    kinds = [each["type"] for each in second.messages]
    assert (kinds[0], kinds[-2:]) == ("reattach", ["observe", "observe"])
    assert "observe.v1" in announcements(second)[0]["features"]


def test_28_check_4_one_that_is_disposed_of_without_a_connection_is_told_and_not_replayed(
    engine: FakeEngine, connect: Connect
) -> None:
    slow = iii.ReconnectionConfig(initial_delay_ms=2000, jitter_factor=0)
    worker = connect(reconnection_config=slow)
    observer = worker.observe("f", "g", observer_id="o")
    first = engine.connection()
    first.message("observe")
    answer(first, "o")
    observer.ready()
    first.drop()
    engine.wait(lambda: observer.state == "suspended")
    observer.dispose()
    second = engine.connection(2)
    second.message("unobserve", id="o")
    assert not second.of("observe")
    assert "observe.v1" in announcements(second)[0]["features"]


def test_28_check_5_dispose_is_for_good_and_once(engine: FakeEngine, worker: iii.Worker) -> None:
    observer = worker.observe("f", "g", observer_id="o")
    connection = engine.connection()
    connection.message("observe")
    observer.dispose()
    observer.dispose()
    connection.message("unobserve", id="o")
    answer(connection, "o")
    change(connection, "o", "active")
    assert (observer.state, observer.reason) == ("disposed", "UNOBSERVED: disposed by the observing worker")
    with pytest.raises(iii.ObserverRefused, match="disposed by the observing worker") as refused:
        observer.ready()
    assert (refused.value.code, refused.value.observer_id, refused.value.function_id) == ("UNOBSERVED", "o", "f")
    assert len(connection.of("unobserve")) == 1


def test_28_check_5_the_end_of_an_earlier_one_of_the_same_id_is_not_that_of_the_new(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    connection = engine.connection()
    worker.observe("f", "g", observer_id="o").dispose()
    observer = worker.observe("f", "g", observer_id="o")
    engine.wait(lambda: len(connection.of("observe")) == 2)
    change(connection, "o", "disposed", "UNOBSERVED")
    answer(connection, "o")
    observer.ready()
    assert observer.state == "active"


def test_28_check_6_a_refusal_names_observer_code_and_remedy(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    observer = worker.observe("f", "g", observer_id="o")
    connection = engine.connection()
    connection.message("observe")
    answer(connection, "o", "error", error={"code": "INVALID_ARGS", "message": "f takes no args"})
    with pytest.raises(iii.ObserverRefused, match="observer 'o' of 'f': f takes no args; correct `args`") as refused:
        observer.ready()
    assert refused.value.code == "INVALID_ARGS"
    assert observer.state == "error"
    assert "Observer refused" in caplog.text
    connection.drop()
    assert not engine.connection(2).of("observe")  # the engine keeps nothing of it either


def test_28_check_7_states_of_an_observer_come_in_order_and_end_it(engine: FakeEngine, worker: iii.Worker) -> None:
    observer = worker.observe("f", "g", observer_id="o")
    states: list[str] = []
    observer.on_state_change(states.append)
    stop = observer.on_state_change(lambda state: states.append("again"))
    stop()
    stop()
    connection = engine.connection()
    connection.message("observe")
    answer(connection, "o", "pending")
    with pytest.raises(TimeoutError, match=r"observer 'o' of 'f' is pending after 0\.01 s"):
        observer.ready(0.01)
    change(connection, "o", "active", fires=1)
    change(connection, "o", "suspended", "TARGET_UNAVAILABLE", fires=1)
    change(connection, "o", "active", fires=1)
    change(connection, "o", "disposed", "MAX_FIRES", fires=2)
    engine.wait(lambda: states[-1:] == ["disposed"])  # listeners hear of it when it is so already
    assert states == ["active", "suspended", "active", "disposed"]
    assert (observer.fires, observer.reason) == (2, "MAX_FIRES: it is disposed")
    worker.observe("f", "g", observer_id="o")  # the id is free


def test_28_check_8_an_engine_without_observers_refuses_them_at_once(connect: Connect, engine: FakeEngine) -> None:
    engine.features = ["something.v1"]
    worker = connect()
    observer = worker.observe("f", "g")
    with pytest.raises(iii.ObserverRefused, match="does not know observers") as refused:
        observer.ready()
    assert refused.value.code == "UNSUPPORTED"
    connection = engine.connection()
    assert not connection.of("observe")
    engine.features = FEATURES
    connection.drop()
    second = engine.connection(2)
    answer(second, second.message("observe")["id"])
    observer.ready()


def test_28_s3_a_late_rejection_by_the_host_is_tried_again_at_the_next_connection(
    engine: FakeEngine, worker: iii.Worker
) -> None:
    observer = worker.observe("f", "g", observer_id="o")
    connection = engine.connection()
    connection.message("observe")
    answer(connection, "o", "pending")
    change(connection, "o", "error", "OBSERVE_REJECTED")
    with pytest.raises(iii.ObserverRefused, match="it is error"):
        observer.ready()
    connection.drop()
    second = engine.connection(2)
    second.message("observe", id="o")
    answer(second, "o")
    observer.ready()


def test_28_check_9_observers_of_its_own_functions_are_acknowledged(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("f", lambda data: data)
    connection = engine.connection()
    view = {"id": "o", "args": {}, "filters": {}, "target": "g", "capture": [], "on": "success"}
    frame = {"type": "functionregistered", "id": "f", "namespace": "default", "revision": 3, "local_dispatch": True}
    connection.send(frame | {"observers": [view]})
    ack = {"type": "observerack", "function_id": "f", "namespace": "default", "id": "o"}
    assert connection.message("observerack", revision=3) == ack | {"revision": 3}
    added = {"type": "observeradded", "function_id": "f", "namespace": "default", "revision": 4}
    connection.send(added | {"observer": view | {"id": "p"}})
    assert connection.message("observerack", revision=4) == ack | {"revision": 4, "id": "p"}
    connection.send({"type": "observerremoved", "function_id": "f", "namespace": "default", "revision": 5, "id": "o"})
    assert connection.invoke("f", 1)["result"] == 1  # every call goes through the engine


@pytest.mark.parametrize(("sent", "forwarded"), [(2, 2), (0, None), ("x", None), (-1, None), (None, None)])
def test_28_check_10_calls_of_a_handler_carry_its_depth(
    engine: FakeEngine, worker: iii.Worker, sent: Any, forwarded: int | None
) -> None:
    engine.answers["g"] = 1
    worker.register_function("f", lambda data: worker.trigger({"function_id": "g"}))
    connection = engine.connection()
    assert connection.invoke("f", observe_depth=sent)["result"] == 1
    assert connection.message("invokefunction", function_id="g").get("observe_depth") == forwarded


def test_28_check_11_a_clean_end_takes_the_observers_along(engine: FakeEngine, connect: Connect) -> None:
    worker = connect()
    observer = worker.observe("f", "g", observer_id="o")
    connection = engine.connection()
    connection.message("observe")
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            observer.ready()
        except BaseException as error:
            ended.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    worker.shutdown()
    waiting.join(60)
    assert [type(each) for each in ended] == [iii.ClientShutdown]
    connection.message("unobserve", id="o")
    with pytest.raises(iii.ClientShutdown):
        worker.observe("f", "g")


async def test_28_check_12_ready_waits_in_a_coroutine_and_never_blocks_a_loop(engine: FakeEngine) -> None:
    async with iii.connect_worker(engine.url, iii.InitOptions(enable_metrics_reporting=False)) as worker:
        observer = worker.observe("f", "g", observer_id="o")
        with pytest.raises(RuntimeError, match="await ready_async"):
            observer.ready()
        with pytest.raises(TimeoutError, match="is pending after 0 s"):
            await observer.ready_async(0)
        waiting = asyncio.create_task(observer.ready_async())
        connection = await asyncio.to_thread(engine.connection)
        await asyncio.to_thread(connection.message, "observe")
        answer(connection, "o", "active", warnings=["input.a: request_format is open; path not verified"])
        await waiting
        assert repr(observer) == "<Observer 'o' of 'f' active>"


def test_a_listener_that_raises_stops_nobody(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    observer = worker.observe("f", "g", observer_id="o")
    states: list[str] = []
    observer.on_state_change(lambda _: 1 / 0)
    observer.on_state_change(states.append)
    connection = engine.connection()
    connection.message("observe")
    answer(connection, "o")
    engine.wait(lambda: states == ["active"])
    assert "Listener of an observer raised" in caplog.text


def test_28_check_13_a_decorated_function_reacts(engine: FakeEngine, connect: Connect) -> None:
    worker = connect()

    @worker.observe("orders::create", on="error", observer_id="o")
    def note(call: iii.Observed[dict[str, int], None]) -> str:
        assert call.error is not None
        assert call.caller is not None
        return f"{call.function_id} {call.status} {call.input['total']} {call.error.code} {call.caller.worker_name}"

    connection = engine.connection()
    observe = connection.message("observe")
    assert observe["source"] == {"function_id": "orders::create", "on": "error"}
    assert observe["target"] == {"function_id": "observe::note"}
    envelope = {
        "observer_id": "o", "activation_id": "a", "function_id": "orders::create", "namespace": "default",
        "invocation_id": "i", "status": "error", "input": {"total": 7}, "error": {"code": "broke", "message": "m"},
        "caller": {"worker_id": "w", "worker_name": "shop"}, "started_at_ms": 1, "duration_ms": 0.5,
    }  # fmt: skip
    assert connection.invoke("observe::note", envelope)["result"] == "orders::create error 7 broke shop"
    broken = connection.invoke("observe::note", envelope | {"input": "x"}, "call-2")["error"]
    assert broken["code"] == "invalid_request"


def test_28_check_15_a_refused_observer_ends_the_start_of_an_app(engine: FakeEngine) -> None:
    app = iii.App("orders", options=iii.InitOptions(enable_metrics_reporting=False))
    app.observe("orders::create", "audit", observer_id="o")
    error = {"code": "NOT_OBSERVABLE", "message": "orders::create is not observable"}

    def refuse(call: Message) -> Message:
        connection = engine.connections[0]
        refusal = {"type": "observeresult", "id": "o", "state": "error", "error": error}
        connection.write(msgspec.json.encode(refusal))
        return {"result": {"triggers": []}}

    engine.answers["engine::triggers::list"] = refuse
    expected = "observer of 'orders::create' for 'audit': NOT_OBSERVABLE: orders::create is not observable"
    with pytest.raises(iii.DeclarationRefused, match=expected):
        asyncio.run(_started(app, engine.url))


async def _started(app: iii.App, url: str) -> None:
    async with app.connect(url):
        pass
