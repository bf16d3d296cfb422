"""Calls, their answers, deadlines, cancelling and disconnects in any order: one answer each, nothing kept (P7, P11, 10 check 5)."""

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from iii.engine.engine_functions import EngineFunctions
from iii.engine.session.session import Session
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

IDS = [f"00000000-0000-4000-8000-00000000000{digit}" for digit in range(4)]  # few: they are used again and at once
TARGETS = ["svc::new", "svc::old", "svc::held", "nobody::here", "engine::workers::list"]
CANCEL = "engine::invocations::cancel"
LONGEST_S = 1.0


class Calls(RuleBasedStateMachine):
    callers = Bundle("callers")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.asked: dict[
            MemoryWorker, Counter[str]
        ] = {}  # by caller, how often it used an id for a call that is answered
        self.executors: dict[str, MemoryWorker] = {}

    @initialize()
    def serve(self) -> None:
        for target in ("svc::new", "svc::old", "svc::held"):
            self.return_(target)

    def return_(self, target: str) -> None:
        features = ["cancel.v1"] if target != "svc::old" else []
        announced = target != "svc::held"  # its registrations wait 50 ms, and with them its calls (N2)
        self.executors[target] = self.engine.connect(functions=[target], announce=announced, features=features)

    @rule(target=callers)
    def connect(self) -> MemoryWorker:
        worker = self.engine.connect(version="0.22.0")
        self.asked[worker] = Counter()
        return worker

    @rule(
        caller=callers,
        function_id=st.sampled_from(TARGETS),
        call_id=st.sampled_from(IDS),
        timeout_ms=st.none() | st.integers(-1, int(LONGEST_S * 1000)),
        action=st.sampled_from([None, None, None, "void", "enqueue"]),
    )
    def call(
        self, caller: MemoryWorker, function_id: str, call_id: str, timeout_ms: int | None, action: str | None
    ) -> None:
        message: dict[str, Any] = {"type": "invokefunction", "function_id": function_id, "invocation_id": call_id}
        if action is not None:
            message["action"] = {"type": action, "queue": "q"}
        self.say(caller, {**message, "timeout_ms": timeout_ms}, None if action == "void" else call_id)

    @rule(caller=callers, cancelled=st.sampled_from(IDS), call_id=st.sampled_from(IDS))
    def cancel(self, caller: MemoryWorker, cancelled: str, call_id: str) -> None:
        before = {each: len(each.heard()) for each in self.asked if each is not caller}
        message = {"type": "invokefunction", "function_id": CANCEL, "data": {"invocation_id": cancelled}}
        self.say(caller, {**message, "invocation_id": call_id}, call_id)
        assert {each: len(each.heard()) for each in before} == before  # only its own calls

    def say(self, caller: MemoryWorker, message: dict[str, Any], call_id: str | None) -> None:
        if caller.connected and call_id is not None:
            self.asked[caller][call_id] += 1
        caller.say(message)

    @rule(served=st.sampled_from(TARGETS[:3]), which=st.integers(0, 5), again=st.booleans())
    def answer(self, served: str, which: int, again: bool) -> None:
        executor = self.executors[served]
        invocations = executor.invocations()
        if which < len(invocations):
            for _ in range(1 + again):
                executor.answer(invocations[which], which)

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.05, 0.3, 6.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(caller=consumes(callers))
    def drop_caller(self, caller: MemoryWorker) -> None:
        before = self.cancellations()
        caller.drop()
        assert self.cancellations() == before  # a caller that leaves cancels nothing

    @rule(served=st.sampled_from(TARGETS[:3]))
    def drop_executor(self, served: str) -> None:
        self.executors[served].drop()
        self.return_(served)

    def cancellations(self) -> int:
        return sum(len(each.heard("cancelinvocation")) for each in self.executors.values())

    def answers(self, caller: MemoryWorker) -> Counter[str]:
        return Counter(each["invocation_id"] for each in caller.heard("invocationresult"))

    @invariant()
    def no_call_has_more_answers_than_one(self) -> None:
        for caller, asked in self.asked.items():
            assert self.answers(caller) <= asked

    @invariant()
    def what_runs_is_wanted_and_can_be_cancelled(self) -> None:
        for executor in self.executors.values():
            for running in executor.session.handling.values():
                if running.call_id is not None:  # else nobody ever waited
                    assert running.waiter is not None
                    assert isinstance(running.caller, Session)
                    calling = running.caller.calling
                    assert calling.calls.get(running.call_id) is running or running in calling.same_id.get(
                        running.call_id, ()
                    )

    @invariant()
    def only_who_understands_it_is_told_and_nobody_twice(self) -> None:
        assert not self.executors.get("svc::old") or not self.executors["svc::old"].heard("cancelinvocation")
        for executor in self.executors.values():
            told = Counter(each["invocation_id"] for each in executor.heard("cancelinvocation"))
            assert told <= Counter(each["invocation_id"] for each in executor.invocations())

    def teardown(self) -> None:
        self.clock.advance(6.0)  # held calls are sent
        for executor in self.executors.values():
            executor.drop()
        self.clock.advance(LONGEST_S)
        for caller, asked in self.asked.items():
            if caller.connected:
                assert self.answers(caller) == asked
        for peer in self.engine.core.roster.connections.values():
            assert isinstance(peer, Session)
            assert not peer.handling
            assert not peer.calling.calls
            assert not peer.calling.same_id
        assert len(self.engine.core.router.deadlines) == 0
        assert not self.clock.timers


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=80, stateful_step_count=40, derandomize=True)
