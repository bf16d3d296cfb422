"""HTTP-invoked functions as the core sees them: owned by a worker, run by whoever calls URLs (03 §B2)."""

import logging

import pytest

from iii.engine.functions import Function
from iii.engine.invocation import Invocation
from iii.protocol.errors import InvocationError
from iii.testing import MemoryEngine

INVOCATION = {"url": "https://example.com", "method": None, "headers": None}


class UrlCaller:
    """Takes everything but `web::bad`; answers with the URL."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.taken: list[str] = []
        engine.core.functions.call_urls(self)

    def take(self, function: Function) -> None:
        if function.id == "web::bad":
            raise InvocationError("url_validation_failed", "Invalid URL")
        self.taken.append(function.id)

    def deliver(self, invocation: Invocation, function: Function) -> None:
        assert function.invocation is not None
        invocation.complete(b'"%b"' % function.invocation.url.encode())


def test_03_B2_the_url_is_called_instead_of_the_worker(engine: MemoryEngine) -> None:
    UrlCaller(engine)
    worker = engine.connect()
    worker.register("web::f", invocation=INVOCATION)
    assert engine.connect().result_of("web::f") == "https://example.com"
    assert worker.heard("invokefunction") == []


def test_03_check_64_it_goes_with_its_worker_unless_another_one_took_the_id(engine: MemoryEngine) -> None:
    UrlCaller(engine)
    first, second, caller = engine.connect(version="0.20.0"), engine.connect(version="0.20.0"), engine.connect()
    first.register("web::f", invocation=INVOCATION)
    second.register("web::f", invocation={"url": "https://second.example"})
    first.drop()
    assert caller.result_of("web::f") == "https://second.example"
    second.drop()
    assert caller.call("web::f")["error"]["code"] == "function_not_found"


def test_03_B2_a_refused_one_is_released_and_only_logged(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caller = UrlCaller(engine)
    worker = engine.connect()
    worker.forget()
    worker.register("web::bad", invocation=INVOCATION)
    assert worker.call("web::bad")["error"]["code"] == "function_not_found"
    assert [message["type"] for message in worker.heard()] == ["invocationresult"]
    (line,) = [record for record in caplog.records if "function=web::bad" in record.message]
    assert line.levelno == logging.ERROR
    assert "url_validation_failed: Invalid URL" in line.message
    assert caller.taken == []


def test_N4_a_standby_is_not_taken_before_it_serves(engine: MemoryEngine) -> None:
    caller = UrlCaller(engine)
    engine.connect(functions=["web::f"])
    engine.connect().register("web::f", invocation=INVOCATION)
    assert caller.taken == []
