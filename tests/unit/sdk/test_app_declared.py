"""What an app declares can be taken back, connected or not; and what it tells while it runs."""

import logging
import operator
from typing import Any

import pytest

import iii
from iii.sdk import log_output
from iii.testing import TestEngine


class Sensor(iii.TriggerHandler):
    async def register_trigger(self, config: Any) -> None: ...

    async def unregister_trigger(self, config: Any) -> None: ...


def test_types_and_triggers_are_taken_back_before_and_while_it_is_connected() -> None:
    app = iii.App("orders")
    app.register_trigger_type({"id": "sensor", "description": "d"}, Sensor())
    app.register_trigger_type({"id": "kept", "description": "d"}, Sensor())
    app.unregister_trigger_type("sensor")
    app.unregister_trigger_type({"id": "unknown"})
    trigger = app.register_trigger({"type": "cron", "function_id": "f", "config": {"expression": "0 0 6 * * *"}})
    trigger.unregister()
    trigger.unregister()
    assert (list(app.declared.trigger_types), app.declared.triggers) == (["kept"], [])

    with TestEngine(app):
        app.register_trigger_type({"id": "late", "description": "d"}, Sensor())
        app.unregister_trigger_type("late")
        assert list(app.declared.trigger_types) == ["kept"]


@pytest.mark.parametrize("configured", [False, True])
def test_a_running_app_shows_its_life_where_no_logging_is_set_up(
    monkeypatch: pytest.MonkeyPatch, configured: bool
) -> None:
    logger, last = logging.getLogger("iii"), log_output.LastResort()
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()] if configured else [])
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler(), last])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    try:
        log_output.show_life()
        expected = (logging.NOTSET, logging.WARNING) if configured else (logging.INFO, logging.INFO)
        assert (logger.level, last.level) == expected
    finally:
        logger.setLevel(logging.NOTSET)


async def test_a_worker_whose_loop_has_ended_is_drained_already() -> None:
    worker = iii.register_worker("ws://127.0.0.1:9", iii.InitOptions(connect_timeout_ms=1))
    worker.shutdown()
    assert await worker.drain_async() is True
    await worker.shutdown_async()
    assert worker.drain() is True


class Order:
    def __init__(self, data: dict[str, int]) -> None:
        self.data = data


class Remote:
    """As proxies of other programs are, such as those of xmlrpc: whatever they are asked for, they have."""

    def __getattr__(self, name: str) -> "Remote":
        return Remote()

    def __call__(self, data: Any) -> Any:
        return data


def test_a_class_a_proxy_and_a_callable_of_the_interpreter_are_handlers() -> None:
    app = iii.App("orders")
    app.register_function("remote", Remote())
    app.register_function("class", Order)
    app.register_function("item", operator.itemgetter("a"))
    with TestEngine(app) as engine:
        assert engine.call("item", {"a": 7}) == 7
        assert engine.call("remote", [7]) == [7]


def test_02_s9_a_function_with_the_id_of_a_builtin_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    app = iii.App("orders")
    app.function("state::set")(lambda data: "mine")
    app.function("orders::set")(lambda data: "mine")
    with TestEngine(app) as engine:
        assert engine.call("state::set", {"scope": "s", "key": "k", "value": 1}) == "mine"
    assert caplog.text.count("Function has an id of the engine's modules") == 1
    assert "function=state::set, at=" in caplog.text
    assert (
        "Function takes the place of a builtin: all calls go to the worker (function=state::set, worker=" in caplog.text
    )
