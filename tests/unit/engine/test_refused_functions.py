"""Why nothing is found: reasons of refused registrations, for callers (newcomer M9)."""

import pytest

from iii.engine.functions import FunctionRegistry
from iii.testing import MemoryEngine


def test_newcomer_M9_a_caller_learns_that_the_module_is_missing(engine: MemoryEngine) -> None:
    worker = engine.connect()
    worker.say({"type": "registerfunction", "id": "ext::f", "invocation": {"url": "https://example.org"}})
    error = engine.connect().call("ext::f")["error"]
    assert error["code"] == "function_not_found"
    assert error["message"] == (
        "Function ext::f not found in namespace default. "
        "Its registration was refused: the iii-http-functions module is not loaded."
    )
    engine.connect(functions=["ext::f"])
    assert not engine.core.functions.refused


def test_newcomer_M9_only_the_latest_reasons_are_remembered() -> None:
    registry = FunctionRegistry()
    for number in range(150):
        registry.refuse(("default", f"f{number}"), "why")
    registry.refuse(("default", "f60"), "again")
    assert len(registry.refused) == 100
    assert list(registry.refused)[-1] == ("default", "f60")


@pytest.mark.parametrize("member", ["request_format", "response_format", "metadata"])
def test_a_schema_that_nobody_could_read_is_refused_and_spoils_no_list(engine: MemoryEngine, member: str) -> None:
    worker = engine.connect(functions=["svc::good"])
    worker.announce(name="w", version="0.25.0", runtime="python")
    worker.say(b'{"type":"registerfunction","id":"svc::bad","%b":{"maximum":1e400}}' % member.encode())
    assert [message["function_id"] for message in worker.heard("registrationrejected")] == ["svc::bad"]
    listed = engine.connect().call("engine::functions::list")["result"]["functions"]
    assert "svc::good" in {row["function_id"] for row in listed}
    assert "svc::bad" not in {row["function_id"] for row in listed}


@pytest.mark.parametrize("member", ["config", "metadata"])
def test_nor_is_such_a_trigger_taken(engine: MemoryEngine, member: str) -> None:
    worker = engine.connect(functions=["svc::f"])
    worker.say(
        b'{"type":"registertrigger","id":"t","trigger_type":"mail","function_id":"svc::f","%b":[1e400]}'
        % member.encode()
    )
    [refusal] = worker.heard("triggerregistrationresult")
    assert f"{member} has a number that is too large" in refusal["error"]["message"]
