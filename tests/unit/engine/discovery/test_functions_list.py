"""`engine::functions::list` (02 §5.2, checks 1–10, 34)."""

import uuid
from typing import Any

import pytest

from iii.engine.engine import EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import IDLE_RELEASE_S
from iii.protocol.names import is_builtin_id
from iii.testing import FakeClock, MemoryEngine, MemoryWorker


def rows(worker: MemoryWorker, /, **request: Any) -> list[dict[str, Any]]:
    result = worker.result_of("engine::functions::list", request)
    assert set(result) == {"functions"}
    return list(result["functions"])


def ids(worker: MemoryWorker, /, **request: Any) -> list[str]:
    return [row["function_id"] for row in rows(worker, **request)]


def test_02_check_1_internal_functions_are_hidden_unless_asked_for(engine: MemoryEngine) -> None:
    caller = engine.connect()

    shown = ids(caller)
    everything = rows(caller, include_internal=True)

    assert shown == ["engine::queue::list_topics", "iii::queue::redrive", "state::get"]
    assert "engine::functions::list" in [row["function_id"] for row in everything]
    assert all(is_builtin_id(row["function_id"]) and row["worker_name"] for row in everything)


def test_02_5_2_of_workers_leaves_out_the_functions_of_modules(engine: MemoryEngine) -> None:
    caller = engine.connect(functions=["state::mine"])

    assert ids(caller, of_workers=True) == ["state::mine"]
    assert ids(caller, of_workers=True, include_internal=True) == ["state::mine"]
    assert "state::get" in ids(caller, of_workers=False)


def test_02_check_2_prefix_and_search(engine: MemoryEngine) -> None:
    caller = engine.connect(functions=["alpha::two", "beta::one"])
    caller.register("alpha::one", description="first")

    assert ids(caller, prefix="alpha::") == ["alpha::one", "alpha::two"]
    assert ids(caller, search="TWO") == ["alpha::two"]
    assert ids(caller, search="FIRST") == ["alpha::one"]
    assert ids(caller, prefix="", search="", worker=None) == ids(caller)


def test_02_check_3_search_ranks_segments_before_parts_before_descriptions(engine: MemoryEngine) -> None:
    caller = engine.connect(functions=["restate::apply", "unrelated::fn"])
    caller.register("coder::move", description="moves STATE around")

    assert ids(caller, search="state") == ["state::get", "restate::apply", "coder::move"]


def test_02_check_4_several_workers_are_ored_and_none_filters_nothing(engine: MemoryEngine) -> None:
    engine.connect(name="http", functions=["http::fetch"])
    caller = engine.connect(name="queue", functions=["queue::push"])

    assert ids(caller, workers=["iii-sample", "http"], prefix="") == [
        "engine::queue::list_topics", "http::fetch", "iii::queue::redrive", "state::get",
    ]  # fmt: skip
    assert ids(caller, workers=["http"], worker="queue") == ["http::fetch", "queue::push"]
    assert ids(caller, workers=[]) == ids(caller)
    error = caller.call("engine::functions::list", {"workers": ["a", 1]})["error"]
    assert error["code"] == "deserialization_error"


def test_02_check_5_metadata_internal_hides_only_as_a_boolean(engine: MemoryEngine) -> None:
    caller = engine.connect()
    caller.register("a::hidden", metadata={"internal": True})
    caller.register("a::shown", metadata={"internal": "true"})
    caller.register("a::other", metadata=[{"internal": True}])

    assert ids(caller, prefix="a::") == ["a::other", "a::shown"]
    assert ids(caller, prefix="a::", include_internal=True) == ["a::hidden", "a::other", "a::shown"]


def test_02_check_6_an_unnamed_owner_shows_the_first_segment(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::b", "plain"])
    assert [row["worker_name"] for row in rows(worker) if row["function_id"] in ("a::b", "plain")] == ["a", "plain"]

    worker.announce(name="w")

    assert ids(worker, worker="w") == ["a::b", "plain"]


def test_02_check_7_a_missing_description_is_absent_or_null_by_dialect(engine: MemoryEngine) -> None:
    modern = engine.connect(functions=["a::b"])
    legacy = engine.connect(version="0.10.0")

    (row,) = rows(modern, prefix="a::")
    assert list(row) == ["function_id", "namespace", "worker_name", "request_format", "response_format"]
    (row,) = [row for row in rows(legacy) if row["function_id"] == "a::b"]
    assert list(row) == [
        "function_id", "namespace", "worker_name", "description", "metadata", "request_format", "response_format",
    ]  # fmt: skip
    assert row["description"] is row["metadata"] is row["request_format"] is row["response_format"] is None


def test_02_check_8_a_wrong_type_is_a_deserialization_error(engine: MemoryEngine) -> None:
    error = engine.connect().call("engine::functions::list", {"include_internal": "yes"})["error"]

    assert error["code"] == "deserialization_error"
    assert error["message"].startswith("Failed to deserialize input for engine::functions::list: ")


def test_02_check_9_null_and_missing_data_are_an_empty_object(engine: MemoryEngine) -> None:
    caller = engine.connect()
    expected = caller.call("engine::functions::list", {})["result"]

    for data in ({}, {"data": None}):
        caller.forget()
        call_id = str(uuid.uuid4())
        caller.say(
            {"type": "invokefunction", "invocation_id": call_id, "function_id": "engine::functions::list", **data}
        )
        answer = caller.answer_to(call_id)
        assert answer is not None
        assert answer["result"] == expected
    assert caller.call("engine::functions::list", {"prefix": None, "unknown": 7})["result"] == expected


def test_02_check_10_old_python_gets_only_objects_as_formats_and_metadata(engine: MemoryEngine) -> None:
    node = engine.connect(runtime="node", version="0.22.0")
    node.register("a::any", request_format=True, response_format=[1], metadata="text")
    node.register("a::object", request_format={"type": "object"}, metadata={"k": 1})

    def pair(version: str) -> list[dict[str, Any]]:
        return [row for row in rows(engine.connect(version=version)) if row["function_id"].startswith("a::")]

    odd, good = pair("0.10.0")
    assert odd["request_format"] is odd["response_format"] is odd["metadata"] is None
    assert good["request_format"] == {"type": "object"}
    assert good["metadata"] == {"k": 1}
    odd, good = pair("0.11.0")
    assert (odd["request_format"], odd["response_format"], odd["metadata"]) == (True, [1], "text")


def test_W5_python_before_0_10_gets_only_formats_with_name_and_type(engine: MemoryEngine) -> None:
    caller = engine.connect(version="0.9.0")
    named = {"name": "n", "type": "string"}
    caller.register("a::named", request_format=named, response_format={"type": "object"})

    (row,) = [row for row in rows(caller) if row["function_id"] == "a::named"]

    assert row["request_format"] == named
    assert row["response_format"] is None


def test_02_check_34_registering_twice_gives_one_row(engine: MemoryEngine) -> None:
    caller = engine.connect(functions=["a::b"])
    caller.register("a::b", description="newer")

    (row,) = rows(caller, prefix="a::")

    assert row["description"] == "newer"


def test_the_same_id_in_two_namespaces_gives_two_rows(engine: MemoryEngine) -> None:
    caller = engine.connect(functions=["a::b"])
    engine.connect(namespace="orders", functions=["a::b"])

    assert [row["namespace"] for row in rows(caller, prefix="a::")] == ["default", "orders"]


@pytest.mark.parametrize(
    ("request_keys", "modern"),
    [({}, False), ({"prefix": "a"}, True), ({"search": "a"}, True), ({"dialect": "legacy", "search": "a"}, False),
     ({"dialect": "modern"}, True)],
    ids=["nothing", "prefix", "search", "dialect before keys", "dialect"],
)  # fmt: skip
def test_W3_request_keys_decide_before_the_announcement(
    engine: MemoryEngine, request_keys: dict[str, Any], modern: bool
) -> None:
    caller = engine.connect(version="0.10.0", functions=["a::b"])

    (row,) = [row for row in rows(caller, **request_keys) if row["function_id"] == "a::b"]

    assert ("description" not in row) is modern


@pytest.mark.parametrize("default", ["legacy", "modern"])
def test_W3_strangers_and_the_command_line_get_the_configured_dialect(clock: FakeClock, default: Any) -> None:
    engine = MemoryEngine(clock, EngineOptions(discovery_dialect=default), [EngineFunctions])
    stranger = engine.connect(announce=False, functions=["a::b"])
    clock.advance(IDLE_RELEASE_S)
    command_line = engine.connect(name="iii-cli:trigger")
    newer = engine.connect()

    for caller in (stranger, command_line):
        (row,) = rows(caller, include_internal=False)
        assert ("description" in row) is (default == "legacy")
    assert "description" not in rows(newer)[0]
    engine.drop_all_workers()


def test_N2_the_list_of_an_unannounced_connection_waits_for_its_registrations(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    caller = engine.connect(announce=False, functions=["a::b"])
    call = caller.start_call("engine::functions::list")
    assert caller.answer_to(call) is None

    clock.advance(IDLE_RELEASE_S)

    answer = caller.answer_to(call)
    assert answer is not None
    assert "a::b" in [row["function_id"] for row in answer["result"]["functions"]]


def test_N2_an_announcement_releases_the_list_with_the_dialect_it_gave(engine: MemoryEngine) -> None:
    caller = engine.connect(announce=False, functions=["a::b"])
    call = caller.start_call("engine::functions::list")

    caller.announce(runtime="python", version="0.25.0", name="late")

    answer = caller.answer_to(call)
    assert answer is not None
    (row,) = [row for row in answer["result"]["functions"] if row["function_id"] == "a::b"]
    assert row["worker_name"] == "late"
    assert "description" not in row


def test_2000_functions_are_listed_completely_and_in_order(engine: MemoryEngine) -> None:
    expected = [f"bulk::f{number:04}" for number in range(2000)]
    caller = engine.connect(functions=reversed(expected))

    assert ids(caller, prefix="bulk::") == expected
