"""Observers, calls, disconnects, expiries, disposals and reconnects in any order, against a small model (21)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import OBSERVERS_KEPT_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

FUNCTIONS = ("a::f", "a::g")
TARGET = "t::t"
FEATURES = ["observe.v1"]


@dataclass
class Expected:
    """One observer, as the model knows it."""

    source: str
    color: str | None  # its filter; None: every call
    owner: str
    left: int | None  # activations until it is over
    expires_at: float | None
    acknowledged: bool = False
    suspended_at: float | None = None


@dataclass
class Pending:
    """A call that its host has not answered, and the observers that were active when it was made."""

    invocation: dict[str, Any]
    color: str
    active: list[str] = field(default_factory=list)


class ObserversMachine(RuleBasedStateMachine):
    """Two functions of one host, one target, two workers that observe, one that calls."""

    @initialize()
    def begin(self) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.target = self.engine.connect(name="target", functions=[TARGET], version="0.24.6")
        self.caller = self.engine.connect(name="caller", version="0.24.6")
        self.host: MemoryWorker | None = None
        self.owners: dict[str, MemoryWorker] = {}
        self.previous: dict[str, MemoryWorker] = {}
        self.expected: dict[str, Expected] = {}
        self.calls: list[Pending] = []
        self.activated: list[str] = []
        self.number = 0
        self.host_comes()
        for name in ("one", "two"):
            self.owner_comes(name)

    # -- the host -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.host is None)
    @rule()
    def host_comes(self) -> None:
        self.host = self.engine.connect(name="host", functions=FUNCTIONS, features=FEATURES)
        for each in self.expected.values():
            each.acknowledged = False

    @precondition(lambda self: self.host is not None)
    @rule(really=st.integers(0, 2))
    def host_leaves(self, really: int) -> None:
        assert self.host is not None
        if really:  # else there would be too few calls
            return
        self.host.kill()
        self.clock.advance(0)
        self.host, self.calls = None, []  # they have failed, and these observers want successes
        for each in self.expected.values():
            each.acknowledged = False

    @precondition(lambda self: self.host is not None)
    @rule()
    def host_acknowledges(self) -> None:
        assert self.host is not None
        latest: dict[str, tuple[str, int]] = {}
        for frame in self.host.heard():
            if frame["type"] == "observeradded":
                latest[frame["observer"]["id"]] = (frame["function_id"], frame["revision"])
            for view in frame.get("observers", ()):
                latest[view["id"]] = (frame["id"], frame["revision"])
        for observer_id, (function_id, revision) in latest.items():
            self.host.say({"type": "observerack", "function_id": function_id, "id": observer_id, "revision": revision})
        for each in self.expected.values():
            each.acknowledged = True

    # -- who observes ---------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(["one", "two"]), reattach=st.booleans())
    def owner_comes(self, name: str, reattach: bool = True) -> None:
        if name in self.owners:
            return
        worker = self.engine.connect(announce=False)
        previous = self.previous.get(name)
        if previous is not None and reattach:
            token = previous.heard("workerregistered")[0]["reattach_token"]
            worker.say({"type": "reattach", "previous_worker_id": previous.id, "reattach_token": token})
        worker.announce(name=name, runtime="python", version="0.25.0", features=FEATURES)
        self.owners[name] = worker
        for observer_id, each in list(self.expected.items()):  # a client says them again
            if each.owner == name:
                self.say_observer(worker, observer_id, each)
                each.suspended_at = None

    @rule(name=st.sampled_from(["one", "two"]))
    def owner_leaves(self, name: str) -> None:
        if name not in self.owners:
            return
        self.previous[name] = self.owners.pop(name)
        self.previous[name].kill()
        self.clock.advance(0)
        for each in self.expected.values():
            if each.owner == name:
                each.suspended_at = self.clock.now()

    @rule(
        name=st.sampled_from(["one", "two"]),
        source=st.sampled_from(FUNCTIONS),
        color=st.sampled_from([None, None, "red", "blue"]),
        fires=st.sampled_from([None, None, 1, 2]),
        lasts_s=st.sampled_from([None, None, 10]),
    )
    def observes(self, name: str, source: str, color: str | None, fires: int | None, lasts_s: int | None) -> None:
        if name not in self.owners or len(self.expected) > 25:
            return
        self.number += 1
        expires_at = None if lasts_s is None else self.clock.now() + lasts_s
        each = Expected(source, color, name, fires, expires_at)
        self.expected[f"o{self.number}"] = each
        self.say_observer(self.owners[name], f"o{self.number}", each, lasts_s)

    def say_observer(self, worker: MemoryWorker, observer_id: str, each: Expected, lasts_s: int | None = None) -> None:
        told = {} if each.expires_at is None else {"expires_in_ms": 10_000}
        if each.left is not None:
            told["max_fires"] = self.wanted.setdefault(observer_id, each.left)
        filters = {} if each.color is None else {"input.color": {"$eq": each.color}}
        worker.say({"type": "observe", "id": observer_id, "source": {"function_id": each.source, "filters": filters},
                    "target": {"function_id": TARGET}, **told})  # fmt: skip
        if worker.heard("observeresult")[-1]["state"] == "active":
            each.acknowledged = True

    @property
    def wanted(self) -> dict[str, int]:
        """By id, the `max_fires` that was said first."""
        return self.__dict__.setdefault("_wanted", {})  # type: ignore[no-any-return]

    @rule(data=st.data())
    def disposes(self, data: st.DataObject) -> None:
        own = [(each.owner, key) for key, each in self.expected.items() if each.owner in self.owners]
        if own:
            name, observer_id = data.draw(st.sampled_from(own))
            self.owners[name].say({"type": "unobserve", "id": observer_id})
            del self.expected[observer_id]

    # -- calls and time -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.host is not None)
    @rule(
        made=st.lists(st.tuples(st.sampled_from(FUNCTIONS), st.sampled_from(["red", "blue"])), min_size=1, max_size=8),
        answered=st.lists(st.integers(0, 100), min_size=2, max_size=8),
        acknowledges=st.booleans(),
    )
    def traffic(self, made: list[tuple[str, str]], answered: list[int], acknowledges: bool) -> None:
        """Calls, and answers to some of those that wait, in any order."""
        if acknowledges:
            self.host_acknowledges()
        for function_id, color in made:
            self.calls_function(function_id, color)
        for place in answered:
            if self.calls:
                self.is_answered(self.calls.pop(place % len(self.calls)))

    def calls_function(self, function_id: str, color: str) -> None:
        assert self.host is not None
        self.caller.start_call(function_id, {"color": color})
        asked = self.host.invocations()[-1]
        active = [
            key
            for key, each in self.expected.items()
            if each.source == function_id and each.acknowledged and each.suspended_at is None
        ]
        self.calls.append(Pending(asked, color, active))

    def is_answered(self, pending: Pending) -> None:
        assert self.host is not None
        before = len(self.target.invocations())
        self.host.answer(pending.invocation, {"done": True})
        due = []
        for key in pending.active:
            each = self.expected.get(key)
            if each is None or each.color not in (None, pending.color) or each.suspended_at is not None:
                continue
            due.append(key)
            if each.left is not None:
                each.left -= 1
                if not each.left:
                    del self.expected[key]
        got = self.target.invocations()[before:]
        assert [call["data"]["observer_id"] for call in got] == due
        for call in got:
            self.target.answer(call)

    @rule(seconds=st.sampled_from([1.0, 6.0, OBSERVERS_KEPT_S + 1]))
    def time_passes(self, seconds: float) -> None:
        if any(not each.acknowledged for each in self.expected.values()) and self.host is not None:
            self.host_acknowledges()  # else they time out, which another test shows
        self.clock.advance(seconds)
        now = self.clock.now()
        self.expected = {
            key: each
            for key, each in self.expected.items()
            if (each.expires_at is None or each.expires_at > now)
            and (each.suspended_at is None or each.suspended_at + OBSERVERS_KEPT_S > now)
        }

    # -- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def the_engine_has_the_observers_of_the_model(self) -> None:
        assert {observer.id for observer in self.engine.core.observers.store} == self.expected.keys()

    @invariant()
    def functions_are_watched_while_they_have_active_observers(self) -> None:
        core = self.engine.core
        for function_id in FUNCTIONS:
            function = core.functions.find(function_id, None)
            active = any(each.active for each in core.observers.store.of(("default", function_id)))
            assert function is None or (function.observers is not None) == active

    def teardown(self) -> None:
        self.engine.drop_all_workers()
        self.clock.advance(OBSERVERS_KEPT_S + 1)
        assert not len(self.engine.core.observers.store)
        assert not self.clock.timers


TestObservers = ObserversMachine.TestCase
TestObservers.settings = settings(max_examples=150, stateful_step_count=40)
