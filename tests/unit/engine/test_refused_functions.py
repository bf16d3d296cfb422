"""Why nothing is found: reasons of refused registrations, for callers (newcomer M9)."""

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
