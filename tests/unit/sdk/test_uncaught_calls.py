"""What a handler lets pass is in its worker's log; what it raises for its caller is not (08 §7.3)."""

import logging
from typing import Any

import pytest

import iii
from iii.testing import TestEngine


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(each.__dict__["event"], each.__dict__["fields"]) for each in caplog.records if each.levelno > logging.INFO]


@pytest.mark.parametrize("catches", [False, True])
def test_the_error_of_a_call_that_a_handler_made_and_did_not_catch_is_logged(
    catches: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = iii.App("orders")

    @app.function("orders::price")
    def price(order: dict[str, Any]) -> None:
        raise iii.InvocationError("no_price", "the article has no price")

    @app.function("orders::place")
    async def place(order: dict[str, Any]) -> str:
        try:
            await app.trigger_async({"function_id": "orders::price", "payload": order})
        except iii.InvocationError:
            if not catches:
                raise
        return "placed"

    with TestEngine(app) as engine:
        if catches:
            assert engine.call("orders::place", {}) == "placed"
            assert logged(caplog) == []
            return
        with pytest.raises(iii.InvocationError, match="no_price") as raised:
            engine.call("orders::place", {})
        ((event, fields),) = logged(caplog)
    assert event == "sdk.call_not_caught"
    assert (fields["function"], fields["called"], fields["code"]) == ("orders::place", "orders::price", "no_price")
    assert fields["error_id"] == raised.value.error_id
    assert "test_uncaught_calls.py" in caplog.text


def test_a_queue_that_does_not_exist_is_in_the_log_of_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    app = iii.App("orders")

    @app.http("POST", "/orders")
    def place() -> None:
        app.trigger({"function_id": "mail", "payload": {}, "action": iii.TriggerAction.Enqueue(queue="mails")})

    with TestEngine(app) as engine:
        assert engine.request("POST", "/orders").status == 500
        found = [fields for event, fields in logged(caplog) if event == "sdk.call_not_caught"]
    assert [(each["function"], each["code"]) for each in found] == [("http::POST /orders", "enqueue_error")]
    assert "Queue 'mails' not found" in str(caplog.text)
