"""Workers that serve a function together (P8, P9): what the SDK says, and several processes' worth of it at an engine."""

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

import iii
from iii.protocol.names import LIST_TRIGGERS
from tests.integration.sdk.connecting import FAST, Connect
from tests.integration.sdk.fake_engine import FakeEngine
from tests.processes import EngineProcess, free_port

DEADLINE_S = 60.0
MARK = {"iii.replicas": "round_robin"}


# -- what is said -----------------------------------------------------------------------------------------------------


def said(engine: FakeEngine, function_id: str) -> Any:
    """The metadata of a registration."""
    return engine.connection().message("registerfunction", id=function_id).get("metadata")


def test_P8_the_mark_of_each_way_to_register(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.register_function("a", lambda data: data, replicas="round_robin", metadata={"team": "x"})
    worker.register_function({"id": "b", "replicas": "least_busy"}, lambda data: data)
    worker.function("c", replicas="round_robin")(lambda data: data)
    worker.http("GET", "/d", function_id="d", replicas="round_robin")(lambda: None)
    worker.cron("@daily", function_id="e", replicas="round_robin")(lambda data: None)
    worker.subscribe("t", function_id="f", replicas="round_robin")(lambda data: None)
    worker.on_queue("t", function_id="g", replicas="round_robin")(lambda data: None)
    worker.register_function("plain", lambda data: data)
    assert [said(engine, name) for name in "abcdefg"] == [
        MARK | {"team": "x"}, {"iii.replicas": "least_busy"}, MARK, MARK, MARK, MARK, MARK,
    ]  # fmt: skip
    assert said(engine, "plain") is None


def test_P8_the_default_of_a_worker_and_what_says_otherwise(engine: FakeEngine, connect: Connect) -> None:
    worker = connect(replicas="round_robin")
    worker.register_function("a", lambda data: data)
    worker.register_function("b", lambda data: data, replicas="least_busy")
    worker.register_function("c", lambda data: data, metadata={"iii.replicas": None})
    assert [said(engine, name) for name in "abc"] == [MARK, {"iii.replicas": "least_busy"}, {"iii.replicas": None}]
    announced = engine.connection().message("invokefunction", function_id="engine::workers::register")
    assert "replica.v1" in announced["data"]["features"]  # copies may share a name (P10)


def test_P8_what_is_no_policy_is_refused_where_it_is_written(worker: iii.Worker) -> None:
    with pytest.raises(ValueError, match="replicas must be 'round_robin' or 'least_busy', got 'random'"):
        iii.InitOptions(replicas="random")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 3"):
        worker.register_function("a", lambda data: data, replicas=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="metadata of 'a' must be a dict, since it is replicated, got list"):
        worker.register_function("a", lambda data: data, replicas="round_robin", metadata=[1])


def test_P10_a_marked_function_is_announced_with_the_next_connection(engine: FakeEngine, worker: iii.Worker) -> None:
    function = worker.register_function("a", lambda data: data, replicas="round_robin")
    assert "replica.v1" not in engine.connection(1).announced()["features"]  # the engine sees the mark itself
    engine.connection(1).drop()
    assert "replica.v1" in engine.connection(2).announced()["features"]
    function.unregister()
    worker.register_function("b", lambda data: data, metadata={"iii.replicas": None})
    engine.connection(2).drop()
    assert "replica.v1" not in engine.connection(3).announced()["features"]


@pytest.mark.parametrize("how", ["decorator", "metadata", "included"])
async def test_P10_an_app_whose_replicas_stand_on_decorators_announces_them(engine: FakeEngine, how: str) -> None:
    """Else a second copy of the same name would be refused before its functions are there."""
    engine.answers[LIST_TRIGGERS] = {"triggers": []}
    app, other = iii.App("orders"), iii.App("other")
    if how == "metadata":
        app.function("a", metadata=MARK)(lambda data: data)
    else:
        (other if how == "included" else app).function("a", replicas="round_robin")(lambda data: data)
    app.include(other)
    async with app.connect(engine.url):
        assert "replica.v1" in engine.connection().announced()["features"]


def test_P9_each_replica_of_a_subscription(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.subscribe("t", function_id="f", each_replica=True)(lambda data: None)
    assert engine.connection().message("registertrigger", function_id="f")["config"] == {
        "topic": "t",
        "deliver": "each",
    }


# -- what comes of it -------------------------------------------------------------------------------------------------

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-pubsub}
  - {name: iii-cron}
  - {name: iii-state}
  - {name: iii-queue, config: {queue_configs: {ordered: {type: fifo, message_group_field: g}, narrow: {concurrency: 2}}}}
  - {name: iii-http, config: {host: 127.0.0.1, port: HTTP}}
"""


class Copies:
    """Three workers of one name with the same functions, and who handled what."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.handled: list[tuple[str, int, Any]] = []  # function, copy, payload
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()
        self.caller = self._connect("caller")
        self.workers = [self.add(number) for number in range(3)]

    def _connect(self, name: str, **options: Any) -> iii.Worker:
        quiet: dict[str, Any] = {"enable_metrics_reporting": False, "reconnection_config": FAST}
        return iii.register_worker(self.url, iii.InitOptions(worker_name=name, **quiet, **options))

    def add(self, number: int) -> iii.Worker:
        worker = self._connect("shop", replicas="round_robin")

        def handler(function_id: str, last_s: float = 0.0) -> Callable[[Any], int]:
            def handle(data: Any) -> int:
                with self._lock:
                    self.handled.append((function_id, number, data))
                    self.running += last_s > 0
                    self.most_running = max(self.most_running, self.running)
                time.sleep(last_s)
                with self._lock:
                    self.running -= last_s > 0
                return number

            return handle

        worker.function("shop::call")(handler("call"))
        worker.function("shop::slow")(handler("slow", 0.02))
        worker.cron("* * * * * *", function_id="shop::tick")(handler("tick"))
        worker.subscribe("news", function_id="shop::news")(handler("news"))
        worker.subscribe("cache", function_id="shop::clear", each_replica=True)(handler("clear"))
        worker.http("GET", "/who", function_id="shop::who")(lambda: number)
        worker.register_function("shop::changed", handler("changed"))
        worker.register_trigger({"type": "state", "function_id": "shop::changed", "config": {"scope": "s"}})
        worker.trigger({"function_id": "engine::functions::list"})
        return worker

    def of(self, function_id: str) -> Counter[int]:
        """How often each copy handled it."""
        return Counter(copy for name, copy, _ in self.handled if name == function_id)

    def ask(self, function_id: str, payload: Any = None, **request: Any) -> Any:
        request |= {"function_id": function_id, "payload": payload}
        return self.caller.trigger(cast("iii.TriggerRequest", request))

    def end(self) -> None:
        for worker in (self.caller, *self.workers):
            worker.shutdown()


def until(look: Callable[[], Any], what: str) -> Any:
    give_up_at = time.monotonic() + DEADLINE_S
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"waited for {what}"
        time.sleep(0.005)
    return found


@pytest.fixture(scope="module")
def http_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def process(http_port: int) -> Iterator[EngineProcess]:
    with EngineProcess(config=CONFIG.replace("HTTP", str(http_port))) as process:
        yield process


@pytest.fixture
def copies(process: EngineProcess) -> Iterator[Copies]:
    copies = Copies(process.url)
    yield copies
    copies.end()


def test_09_check_1_calls_go_round(copies: Copies) -> None:
    for _ in range(30):
        copies.ask("shop::call")
    assert copies.of("call") == {0: 10, 1: 10, 2: 10}
    info = copies.ask("engine::functions::info", {"function_id": "shop::call"})
    assert [worker["worker_name"] for worker in info["replicas"]["workers"]] == ["shop"] * 3


def test_09_check_4_an_event_calls_once_whoever_is_there(copies: Copies, http_port: int) -> None:
    def get() -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/who", timeout=60) as response:
            found: int = json.loads(response.read())
            return found

    def publish(count: int) -> None:
        for number in range(count):
            copies.ask("publish", {"topic": "news", "data": number})
            copies.ask("state::set", {"scope": "s", "key": "k", "value": number})

    publish(6)
    until(lambda: copies.of("news").total() + copies.of("changed").total() >= 12, "both")  # ticks are handled too
    assert copies.of("news").total() == copies.of("changed").total() == 6
    assert sorted(get() for _ in range(6)) == [0, 0, 1, 1, 2, 2]
    copies.workers.pop(0).shutdown()  # whose triggers came first
    publish(4)
    until(lambda: copies.of("news").total() + copies.of("changed").total() >= 20, "the others")
    assert copies.of("news").total() == copies.of("changed").total() == 10
    assert sorted(get() for _ in range(4)) == [1, 1, 2, 2]
    ticks = until(lambda: [data for name, _, data in copies.handled if name == "tick"][2:], "three ticks")
    times = [data["scheduled_time"] for name, _, data in copies.handled if name == "tick"]
    assert len(set(times)) == len(times), ticks


def test_09_check_5_every_copy_hears_what_is_for_each(copies: Copies) -> None:
    for number in range(5):
        copies.ask("publish", {"topic": "cache", "data": number})
    until(lambda: copies.of("clear") == {0: 5, 1: 5, 2: 5}, "each of them")


def test_09_check_6_queues_keep_their_order_and_their_bounds(copies: Copies) -> None:
    for number in range(30):
        copies.ask("shop::slow", {"g": "one", "n": number}, action={"type": "enqueue", "queue": "ordered"})
    until(lambda: copies.of("slow").total() == 30, "all jobs")
    assert [data["n"] for name, _, data in copies.handled if name == "slow"] == list(range(30))
    assert (copies.most_running, copies.of("slow")) == (1, {0: 10, 1: 10, 2: 10})
    until(lambda: not copies.running, "the last one")
    copies.handled.clear()
    for number in range(30):
        copies.ask("shop::slow", number, action={"type": "enqueue", "queue": "narrow"})
    until(lambda: copies.of("slow").total() == 30, "all jobs")
    assert copies.most_running == 2
