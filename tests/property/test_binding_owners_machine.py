"""Bindings with several owners under any order of events, against a model of how often each event calls (P9, P12)."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from iii.engine.engine_functions import EngineFunctions
from iii.modules.pubsub.module import PubSub
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

WORKERS = st.integers(0, 2)
NAMES = st.sampled_from(["p", "q", "r"])
NAMESPACES = ("default", "other")
PLACES = st.sampled_from(["default", "default", "other"])
CONFIGS = ({"topic": "a"}, {"topic": "b"}, {"topic": "a", "deliver": "each"})


class Copy:
    """One worker, and what the model says of it."""

    def __init__(self, worker: MemoryWorker, namespace: str) -> None:
        self.worker = worker
        self.namespace = namespace  # in which its bindings call, too
        self.claims = False
        self.bound: dict[str, int] = {}  # id → which config


class BindingOwnersMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.pubsub = PubSub(self.engine.core)
        self.engine.core.add_module(self.pubsub)
        self.publisher = self.engine.connect(name="publisher")
        self.last = [  # somebody serves it
            self.engine.connect(functions=["svc::f"], version="0.25.0", namespace=namespace) for namespace in NAMESPACES
        ]
        self.copies = [self._copy("default") for _ in range(3)]

    def _copy(self, namespace: str) -> Copy:
        copy = Copy(self.engine.connect(version="0.25.0", functions=["svc::f"], namespace=namespace), namespace)
        copy.claims = True
        return copy

    @rule(at=WORKERS, marked=st.booleans())
    def claim(self, at: int, marked: bool) -> None:
        copy = self.copies[at]
        copy.worker.register("svc::f", **({"metadata": {"iii.replicas": "round_robin"}} if marked else {}))
        copy.claims = True

    @rule(at=WORKERS)
    def disclaim(self, at: int) -> None:
        self.copies[at].worker.unregister("svc::f")
        self.copies[at].claims = False

    @rule(at=WORKERS, name=NAMES, config=st.sampled_from([0, 0, 0, 1, 2]))
    def bind(self, at: int, name: str, config: int) -> None:
        """Ids are the worker's own."""
        copy = self.copies[at]
        binding_id = f"{copy.worker.id}-{name}"
        copy.worker.bind(binding_id, "subscribe", "svc::f", CONFIGS[config])
        copy.bound[binding_id] = config

    @rule(at=WORKERS, name=NAMES)
    def unbind(self, at: int, name: str) -> None:
        copy = self.copies[at]
        binding_id = f"{copy.worker.id}-{name}"
        copy.worker.say({"type": "unregistertrigger", "id": binding_id})
        copy.bound.pop(binding_id, None)

    @rule(at=WORKERS, dies=st.booleans(), namespace=PLACES)
    def leave(self, at: int, dies: bool, namespace: str) -> None:
        """A new worker takes its place, with no trigger."""
        copy = self.copies[at]
        copy.worker.kill() if dies else copy.worker.drop()
        self.copies[at] = self._copy(namespace)

    @rule(at=WORKERS, runs=st.booleans(), namespace=PLACES)
    def drain(self, at: int, runs: bool, namespace: str) -> None:
        """A new worker takes its place at once, while it may still run something."""
        copy = self.copies[at]
        if runs:
            before = len(copy.worker.invocations())
            copy.worker.start_call("svc::f")
            runs = len(copy.worker.invocations()) > before
        self.publisher.start_call("engine::workers::drain", {"worker_id": copy.worker.id})
        self.clock.advance(0)
        copy.worker.bind(f"{copy.worker.id}-p", "subscribe", "svc::f", CONFIGS[2])  # which changes nothing
        assert len(self.engine.core.registry.binding_owners.of(copy.worker.session)) == 0
        self.copies[at] = self._copy(namespace)

    @rule()
    def module_comes_again(self) -> None:
        """All are parked meanwhile."""
        self.engine.core.remove_module(self.pubsub)
        self.clock.advance(1)
        self.pubsub = PubSub(self.engine.core)
        self.engine.core.add_module(self.pubsub)
        self.clock.advance(1)

    def expected(self, config: int) -> int:
        """How many bindings there are with it: owners in two namespaces have two targets."""
        return sum(self._expected_in(namespace, config) for namespace in NAMESPACES)

    def _expected_in(self, namespace: str, config: int) -> int:
        each = CONFIGS[config].get("deliver") == "each"
        here = [copy for copy in self.copies if copy.namespace == namespace]
        counts = [(copy.claims, Counter(copy.bound.values())[config]) for copy in here]
        alone = [count for claims, count in counts if each or not claims]
        together = [count for claims, count in counts if claims and not each]
        return sum(alone) + max(together, default=0)

    @invariant()
    def every_event_calls_once_for_each_binding(self) -> None:
        workers = [*self.last, *(copy.worker for copy in self.copies)]
        for topic in "ab":
            before = [len(worker.invocations()) for worker in workers]
            self.publisher.call("publish", {"topic": topic, "data": topic})
            calls = [len(worker.invocations()) - count for worker, count in zip(workers, before, strict=True)]
            wanted = [self.expected(number) for number, config in enumerate(CONFIGS) if config["topic"] == topic]
            assert sum(calls) == sum(wanted)
            if topic == "a":
                for copy, count in zip(self.copies, calls[2:], strict=True):
                    own = Counter(copy.bound.values())[2]
                    assert count >= (own if copy.claims else 0)

    @invariant()
    def every_registration_is_known_to_its_owner(self) -> None:
        owners = self.engine.core.registry.binding_owners
        for copy in self.copies:
            for binding_id, config in copy.bound.items():
                binding = owners.of(copy.worker.session)[binding_id]
                assert json.loads(binding.config) == CONFIGS[config]
                assert (copy.worker.session, binding_id) in binding.shares
                assert self.engine.core.bindings.get(binding.id) is binding
        shares = [share for binding in self.engine.core.bindings for share in binding.shares]
        assert len(shares) == sum(len(copy.bound) for copy in self.copies)

    def teardown(self) -> None:
        self.engine.drop_all_workers()
        assert not self.engine.core.registry.binding_owners
        assert not self.engine.core.bindings.live
        assert not self.engine.core.bindings.parked


TestBindingOwners = BindingOwnersMachine.TestCase
TestBindingOwners.settings = settings(max_examples=100, stateful_step_count=50, derandomize=True)
