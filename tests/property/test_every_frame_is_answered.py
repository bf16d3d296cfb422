"""Whatever else a frame says: a call whose id can be read is answered, a result whose id can be read ends its call (I13, F1).

Small messages and large ones, which go another way; the bounds are patched so that both are small here.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.engine.engine_functions import EngineFunctions
from iii.engine.session import session
from iii.protocol import large_message
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

CALL = "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1f"
MEMBERS: dict[str, dict[str, str]] = {
    "invokefunction": {"function_id": '"svc::f"', "data": '{"a":1}', "metadata": "null", "baggage": '"a=b"',
                       "traceparent": '"x"', "namespace": '"default"', "action": "null"},
    "invocationresult": {"function_id": '"svc::f"', "result": "1", "error": "null", "traceparent": '"x"', "baggage": '"a=b"'},
}  # fmt: skip

levels = st.sampled_from([3, 499, 501, 3000])
values = st.one_of(
    st.sampled_from(["null", "true", "-1.5e3", "9" * 400, '"\\ud800"', "NaN", "[-Infinity]", '"\\u0000"', "{}", "[]"]),
    st.builds(lambda size: f'"{"x" * size}"', st.sampled_from([1, 300, 5000])),  # the last is an envelope too large
    st.builds(lambda size: f'"{chr(0x200B) * size}"', st.sampled_from([1, 3000])),
    st.builds(lambda deep: "[" * deep + "]" * deep, levels),
    st.builds(lambda deep: '{"invocation_id":' * deep + '"i"' + "}" * deep, levels),
    st.builds(lambda count: f"[{','.join(['[1]'] * count)}]", st.sampled_from([1, 2000])),
    st.builds(lambda count: "{" + ",".join(f'"k{n}":1' for n in range(count)) + "}", st.sampled_from([1, 500])),
    st.sampled_from(["1e999", '{"code":-1e999}', '{"code":"c","message":1e999}']),  # no double
    st.just('{"type":"void"}'),
    st.just('{"type":"enqueue","queue":"none"}'),
    st.just('{"_caller_worker_id":"forged","a":[1]}'),
)  # fmt: skip


@st.composite
def frames(draw: st.DrawFn, kind: str, call_id: str) -> str:
    """A frame of that kind, its members of any type, size and order, some of them twice or with an escaped name."""
    members = list(MEMBERS[kind].items())
    wrong = draw(st.dictionaries(st.sampled_from([*MEMBERS[kind], "unknown"]), values, max_size=3))
    members = [(name, wrong.pop(name, value)) for name, value in members] + list(wrong.items())
    if draw(st.booleans()):
        members.append((draw(st.sampled_from(sorted(MEMBERS[kind]))), draw(values)))  # twice: the last one counts
    members = draw(st.permutations([*members, ("type", f'"{kind}"'), ("invocation_id", json.dumps(call_id))]))
    if draw(st.booleans()):
        members.insert(0, ("invocation_id", draw(st.sampled_from(["null", '"other"', "[1]"]))))
    space = draw(st.sampled_from(["", " ", "\n\t "]))
    return "{" + ",".join(f"{_name(draw, name)}{space}:{space}{value}" for name, value in members) + "}"


def _name(draw: st.DrawFn, name: str) -> str:
    escaped = draw(st.integers(0, 4)) == 0
    return f'"{name[0]}\\u{ord(name[1]):04x}{name[2:]}"' if escaped else f'"{name}"'


@pytest.fixture(params=["small", "large"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small messages are decoded where they come, large ones taken apart and put together."""
    if request.param == "large":
        monkeypatch.setattr(session, "LARGE_MESSAGE_BYTES", 0)
        monkeypatch.setattr(session, "PLAIN_BYTES", 0)
        monkeypatch.setattr(large_message, "_STAYS_BYTES", 64)
        monkeypatch.setattr(large_message, "_ENVELOPE_BYTES", 4000)
    return str(request.param)


AROUND: list[tuple[bytes, bytes]] = [
    (b"", b""), (b"\xef\xbb\xbf", b""), (b"\0", b"\0"), (b"[", b"]"), (b"", b"}}"), (b"", b'\n{"type":"ping"}'), (b'{"type":"ping"}', b""), (b"{", b" x"),
]  # fmt: skip
around = st.sampled_from(AROUND)


def house() -> Iterator[tuple[MemoryEngine, MemoryWorker, MemoryWorker]]:
    engine = MemoryEngine(FakeClock(), modules=[EngineFunctions])
    yield engine, engine.connect(name="worker", functions=["svc::f"]), engine.connect(name="caller")
    engine.drop_all_workers()


@settings(max_examples=400, derandomize=True)
@given(st.data())
@pytest.mark.usefixtures("way")
def test_F1_a_call_whose_id_can_be_read_is_answered(data: st.DataObject) -> None:
    frame = data.draw(frames("invokefunction", CALL))
    sent = frame.encode().join(data.draw(around))
    for engine, worker, caller in house():
        worker.serve(lambda payload: 1)
        caller.say(sent)
        answer = caller.answer_to(CALL)
        assert answer is not None or _is_void(frame)
        assert worker.call("engine::functions::list")["result"]
        assert engine.core.roster.connections


@settings(max_examples=400, derandomize=True)
@given(st.data())
@pytest.mark.usefixtures("way")
def test_F1_a_result_whose_id_can_be_read_ends_its_call(data: st.DataObject) -> None:
    for _, worker, caller in house():
        call_id = caller.start_call("svc::f")
        running = worker.invocations()[0]["invocation_id"]
        worker.say(data.draw(frames("invocationresult", running)).encode().join(data.draw(around)))
        assert caller.answer_to(call_id) is not None
        assert worker.session.status == "available"


CHANGES: dict[str, Callable[[str], bytes]] = {
    "utf16": lambda text: text.encode("utf-16-le"),
    "python": lambda text: text.replace('"', "'").encode(),
    "first byte": lambda text: text[1:].encode(),
    "last byte": lambda text: text[:-1].encode(),
    "twice": lambda text: json.dumps(text).encode(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_attack_3_a_person_can_read_it(change: Callable[[str], bytes]) -> None:
    for _, worker, caller in house():
        caller.say(
            change(json.dumps({"type": "invokefunction", "function_id": "svc::f", "data": {}, "invocation_id": CALL}))
        )
        assert answered(caller, CALL)["error"]["code"] == "invalid_request"
        call_id = caller.start_call("svc::f")
        running = worker.invocations()[0]["invocation_id"]
        worker.say(change(json.dumps({"type": "invocationresult", "result": 1, "invocation_id": running})))
        assert answered(caller, call_id)["error"]["code"] == "serialization_error"


def test_attack_3_a_result_without_a_type_that_can_be_read() -> None:
    for _, worker, caller in house():
        call_id = caller.start_call("svc::f")
        running = worker.invocations()[0]["invocation_id"]
        worker.say(b'pe":"invocationresult","result":1,"invocation_id":"%b"}' % running.encode())
        assert answered(caller, call_id)["error"]["code"] == "serialization_error"


def answered(caller: MemoryWorker, call_id: str) -> dict[str, Any]:
    answer = caller.answer_to(call_id)
    assert answer is not None
    return answer


def _is_void(frame: str) -> bool:
    action: Any = '{"type":"void"}'
    return action in frame
