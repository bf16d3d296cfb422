"""What one connection makes the engine keep is bounded in bytes (P6; core 10b, 10c)."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from iii.engine.connection_limits import ConnectionLimits
from iii.engine.engine_functions import EngineFunctions
from iii.testing import FakeClock, MemoryEngine, MemoryLink, MemoryWorker

LIMITS = ConnectionLimits(registration_bytes=2_000, registrations_bytes=5_000, waiting_bytes=3_000)


def connect(engine: MemoryEngine) -> MemoryWorker:
    link = MemoryLink()
    worker = MemoryWorker(engine.clock, link, engine.core.connect(link, LIMITS))
    worker.announce(name="limited", version="0.25.0", runtime="python")
    return worker


def test_P6_a_registration_past_its_limit_is_refused_and_told(engine: MemoryEngine) -> None:
    worker = connect(engine)
    worker.register("svc::big", metadata={"a": "x" * 3_000})
    assert [message["function_id"] for message in worker.heard("registrationrejected")] == ["svc::big"]
    worker.bind("t", "mail", "svc::f", {"a": "x" * 3_000})
    [refusal] = worker.heard("triggerregistrationresult")
    assert "exceeds the limit of 2000" in refusal["error"]["message"]
    assert worker.call("svc::big")["error"]["code"] == "function_not_found"
    assert not engine.core.bindings.parked


def test_P6_all_registrations_of_a_connection_have_a_limit_and_it_frees_itself(engine: MemoryEngine) -> None:
    worker = connect(engine)
    for number in range(4):
        worker.register(f"svc::f{number}", metadata={"a": "x" * 1_500})
    assert [message["function_id"] for message in worker.heard("registrationrejected")] == ["svc::f3"]
    worker.forget()
    worker.register("svc::f0", metadata={"a": "y" * 1_500})  # again: counted once
    worker.unregister("svc::f1")
    worker.register("svc::f3", metadata={"a": "x" * 1_500})
    assert not worker.heard("registrationrejected")


KINDS = ("function", "triggertype", "trigger")


@example([(True, "triggertype", "a", f"n{number}") for number in range(9)])
@example(
    [step for name in "abcdefghi" for step in ((True, "triggertype", name, None), (False, "triggertype", name, "n"))]
)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(KINDS),
            st.sampled_from("abcdef"),
            st.sampled_from([None, "default", "m", "n"]),
        ),
        max_size=40,
    )
)
def test_P6_whatever_is_registered_and_taken_back_what_is_kept_is_within_the_limit(
    steps: list[tuple[bool, str, str, str | None]],
) -> None:
    """The same id in many namespaces, what is taken back elsewhere, what is replaced."""
    engine = MemoryEngine(FakeClock(), modules=[EngineFunctions])
    worker = connect(engine)
    big = "d" * 1_500
    for registers, kind, name, namespace in steps:
        message = {"type": f"{'' if registers else 'un'}register{kind}", "id": name}
        if kind == "triggertype" and namespace is not None:
            message["namespace"] = namespace
        if registers:
            message |= {"trigger_type": "mail", "function_id": "f", "metadata": big} if kind == "trigger" else {}
            message |= {"description": big} if kind != "trigger" else {}
        worker.say(message)
    engine.clock.advance(10)
    registry = engine.core.registry
    kept = [
        *registry.functions.ownership.claims_of(worker.session),
        *registry.trigger_types.ownership.claims_of(worker.session),
        *registry.bindings.parked,  # nobody provides their type
    ]
    assert len(kept) * len(big) <= LIMITS.registrations_bytes


def test_P6_calls_that_wait_for_registrations_have_a_limit(engine: MemoryEngine, clock: FakeClock) -> None:
    late = engine.connect(announce=False, functions=["svc::late"])
    worker = connect(engine)
    calls = [worker.start_call("svc::late", {"a": "x" * 1_400}) for _ in range(3)]
    answer = worker.answer_to(calls[2])
    assert answer is not None
    assert answer["error"]["code"] == "channel_send_failed"
    clock.advance(0.06)
    assert len(late.invocations()) == 2
    assert worker.session.waiting.take(LIMITS.waiting_bytes)  # nothing waits any more


@pytest.mark.parametrize("member", ["metadata", "baggage"])
def test_P6_whatever_a_call_that_waits_has_counts(engine: MemoryEngine, member: str) -> None:
    engine.connect(announce=False, functions=["svc::late"])
    worker = connect(engine)
    sent = {"x": "y" * 1_400} if member == "metadata" else "x=" + "y" * 700  # for its target, and for its answer
    calls = [worker.start_call("svc::late", **{member: sent}) for _ in range(3)]
    assert [worker.answer_to(call) is None for call in calls] == [True, True, False]


def test_29_1_a_call_that_waits_does_not_keep_the_others_of_its_frame(engine: MemoryEngine, clock: FakeClock) -> None:
    """A frame of 16 KiB for each of 10,000 calls that are 50 bytes long would be more than twice the limit (P6)."""
    late = engine.connect(announce=False, functions=["svc::late"])
    worker = engine.connect(name="caller", features=["batch.v1"])
    frame = b"".join(
        [
            b'\n{"type":"invokefunction","function_id":"svc::late","data":"%b","metadata":[1]}' % word
            for word in (b"a", b"b" * 8_000)
        ]
    )
    frame += b'\n{"type":"invokefunction","function_id":"svc::nobody","data":0}'
    before = sys.getrefcount(frame)
    worker.say(frame)
    assert sys.getrefcount(frame) == before
    clock.advance(0.06)
    assert [each["metadata"] for each in late.invocations()] == [[1], [1]]


def test_core_10c_one_workers_descriptions_do_not_break_the_list_of_others(engine: MemoryEngine) -> None:
    talker = engine.connect(name="talker")
    for number in range(8):
        talker.register(f"talk::f{number}", description="d" * 3_000_000)
    rows = engine.connect(name="caller").result_of("engine::functions::list", {"prefix": "talk::"})["functions"]
    assert len(rows) == 8
    assert all(len(row["description"]) == 280 for row in rows)
