"""The registries under any order of events, against a model that is simple enough to believe (N2, N4, N6–N8, P8, P12, 01 §7, §9)."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from iii.engine.bindings import Binding
from iii.engine.engine_functions import EngineFunctions
from iii.engine.session.buffer import Phase
from iii.protocol.limits import IDLE_RELEASE_S, NAMESPACE_GRACE_MS
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

FUNCTION_IDS = ("svc::a", "engine::custom")
TYPE_IDS = ("mail", "chat")
NAMESPACES = ("default", "orders")
BINDING_IDS = ("t1", "t2", "t3")


class Peer:
    """One worker, and what the model says about it."""

    def __init__(self, worker: MemoryWorker, takes_over: bool) -> None:
        self.worker = worker
        self.takes_over = takes_over
        self.calls: dict[str, str] = {}  # invocation id → function id; unanswered
        self.refused: dict[str, str] = {}  # bindings it refused as a provider, with their type
        self.draining = False

    def asked_to_run(self) -> list[dict[str, Any]]:
        """Invocations that it has not answered."""
        return [
            message for message in self.worker.invocations() if message["invocation_id"] in self.worker.session.handling
        ]


class Claims:
    """Of one function: those that are marked serve together, else the last of the others serves (N4, P8)."""

    def __init__(self) -> None:
        self.marked: list[Peer] = []
        self.plain: list[Peer] = []

    @property
    def serving(self) -> list[Peer]:
        return self.marked or self.plain[-1:]

    def add(self, peer: Peer, marked: bool) -> None:
        """Or again, with or without the mark."""
        if peer in (self.marked if marked else self.plain):
            return
        self.discard(peer)
        if marked:
            self.marked.append(peer)
        elif self.marked or peer.takes_over or not self.plain:
            self.plain.append(peer)
        else:
            self.plain.insert(-1, peer)

    def discard(self, peer: Peer) -> None:
        for claims in (self.marked, self.plain):
            if peer in claims:
                claims.remove(peer)


class RegistryMachine(RuleBasedStateMachine):
    peers = Bundle("peers")

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.alive: list[Peer] = []
        self.claims: defaultdict[tuple[str, str], Claims] = defaultdict(Claims)
        self.names = 0
        self.operator = self.engine.connect(name="operator")

    @initialize(
        target=peers,
        kinds=st.lists(
            st.tuples(st.sampled_from(["0.10.0", "0.23.0"]), st.sampled_from(NAMESPACES)), min_size=5, max_size=5
        ),
    )
    def begin(self, kinds: list[tuple[str, str]]) -> MultipleResults[Peer]:
        """Enough workers for something to happen between them."""
        return multiple(*(self.connect_one(version, namespace) for version, namespace in kinds))

    # -- what may happen ------------------------------------------------------------------------------------------

    @rule(
        target=peers,
        version=st.sampled_from(["0.10.0", "0.22.1", "0.23.0", "0.25.0"]),
        namespace=st.sampled_from(NAMESPACES),
    )
    def connect(self, version: str, namespace: str) -> Peer:
        return self.connect_one(version, namespace)

    def connect_one(self, version: str, namespace: str) -> Peer:
        self.names += 1
        worker = self.engine.connect(name=f"w{self.names}", version=version, namespace=namespace)
        peer = Peer(worker, takes_over=version < "0.23")
        self.alive.append(peer)
        return peer

    @rule(
        function_ids=st.lists(st.sampled_from(FUNCTION_IDS), max_size=3),
        namespace=st.sampled_from(NAMESPACES),
        in_time=st.booleans(),
        patience=st.sampled_from([0.0, IDLE_RELEASE_S, NAMESPACE_GRACE_MS / 1000]),
    )
    def pass_by(self, function_ids: list[str], namespace: str, in_time: bool, patience: float) -> None:
        """A connection that registers first, perhaps announces itself at some time, and leaves."""
        visitor = self.engine.connect(announce=False, functions=function_ids)
        visitor.provide("mail")
        self._let_the_drained_go(patience)
        if in_time:
            visitor.announce(name="visitor", version="0.23.0", runtime="node", namespace=namespace)
            fixed = patience >= NAMESPACE_GRACE_MS / 1000 and function_ids is not None
            assert visitor.session.namespace == ("default" if fixed else namespace)
        visitor.drop()

    @rule(peer=peers, function_id=st.sampled_from(FUNCTION_IDS), marked=st.booleans())
    def register(self, peer: Peer, function_id: str, marked: bool) -> None:
        if not peer.worker.connected:
            return
        if peer.draining:
            peer.worker.register(function_id)
            return
        told = len(peer.worker.heard("registrationrejected"))
        peer.worker.register(function_id, **({"metadata": {"iii.replicas": "least_busy"}} if marked else {}))
        rejections = peer.worker.heard("registrationrejected")[told:]
        namespace = peer.worker.session.namespace
        if function_id.startswith("engine::") and namespace != "default":
            assert rejections
            return
        claims = self.claims[namespace, function_id]
        claims.add(peer, marked)
        refused = peer not in claims.serving and not peer.takes_over
        assert [each["owner_worker_id"] for each in rejections] == ([claims.serving[0].worker.id] if refused else [])

    @rule(peer=peers, function_id=st.sampled_from(FUNCTION_IDS))
    def unregister(self, peer: Peer, function_id: str) -> None:
        if peer.worker.connected:
            peer.worker.unregister(function_id)
            self.claims[peer.worker.session.namespace, function_id].discard(peer)

    @rule(peer=peers, type_id=st.sampled_from(TYPE_IDS))
    def provide(self, peer: Peer, type_id: str) -> None:
        if peer.worker.connected:
            for binding_id, refused_type in list(peer.refused.items()):
                if refused_type == type_id:  # it is asked again
                    del peer.refused[binding_id]
            peer.worker.provide(type_id)

    @rule(peer=peers, type_id=st.sampled_from(TYPE_IDS))
    def withdraw(self, peer: Peer, type_id: str) -> None:
        if peer.worker.connected:
            peer.worker.say({"type": "unregistertriggertype", "id": type_id})

    @rule(
        peer=peers,
        binding_id=st.sampled_from(BINDING_IDS),
        type_id=st.sampled_from(TYPE_IDS),
        explicit=st.sampled_from([None, "default", "orders"]),
    )
    def bind(self, peer: Peer, binding_id: str, type_id: str, explicit: str | None) -> None:
        if peer.worker.connected:
            for each in self.alive if not peer.draining else ():
                each.refused.pop(binding_id, None)
            members = {} if explicit is None else {"trigger_namespace": explicit}
            peer.worker.bind(binding_id, type_id, "svc::a", **members)

    @rule(peer=peers, binding_id=st.sampled_from(BINDING_IDS))
    def unbind(self, peer: Peer, binding_id: str) -> None:
        if not peer.worker.connected:
            return
        core, session = self.engine.core, peer.worker.session
        owners = core.registry.binding_owners
        before, mine = core.bindings.get(binding_id), binding_id in owners.of(session)
        peer.worker.say({"type": "unregistertrigger", "id": binding_id})
        assert binding_id not in owners.of(session)
        assert mine or core.bindings.get(binding_id) is before  # N13

    @rule(peer=peers, binding_id=st.sampled_from(BINDING_IDS))
    def refuse(self, peer: Peer, binding_id: str) -> None:
        """A provider, or somebody who pretends to be one, says no."""
        binding = self.engine.core.bindings.live.get(binding_id)
        if binding is None or not peer.worker.connected:
            return
        provider = binding.provider
        error = {"code": "invalid_config", "message": "no"}
        peer.worker.say(
            {
                "type": "triggerregistrationresult", "id": binding.id, "trigger_type": binding.trigger_type,
                "function_id": binding.function_id, "error": error,
            }
        )  # fmt: skip
        is_provider = provider is not None and provider.owner is peer.worker.session
        assert (binding_id in self.engine.core.bindings.parked) == is_provider
        if is_provider:
            peer.refused[binding_id] = binding.trigger_type

    @rule(peer=peers, function_id=st.sampled_from(FUNCTION_IDS), namespace=st.sampled_from(NAMESPACES))
    def call(self, peer: Peer, function_id: str, namespace: str) -> None:
        if not peer.worker.connected:
            return
        serving = self.claims[namespace, function_id].serving
        loads = [len(each.worker.session.handling) for each in serving]
        before = [len(each.worker.invocations()) for each in serving]
        call = peer.worker.start_call(function_id, namespace=namespace)
        if serving:
            more = [len(each.worker.invocations()) - count for each, count in zip(serving, before, strict=True)]
            assert sorted(more) == [0] * (len(serving) - 1) + [1]
            assert loads[more.index(1)] == min(loads)
            peer.calls[call] = function_id
        else:
            answer = peer.worker.answer_to(call)
            assert answer is not None
            assert answer["error"]["code"] == "function_not_found"

    @rule(peer=peers, fails=st.booleans())
    def answer(self, peer: Peer, fails: bool) -> None:
        for invocation in peer.asked_to_run()[:1]:
            if fails:
                peer.worker.answer(invocation, error={"code": "E", "message": "m"})
            else:
                peer.worker.answer(invocation, {"done": True})

    @rule(peer=peers, limit_ms=st.sampled_from([0, 500, 30_000]))
    def drain(self, peer: Peer, limit_ms: int) -> None:
        """Nothing new reaches it; what it runs may end, and then it is gone."""
        if not peer.worker.connected:
            return
        self.operator.start_call("engine::workers::drain", {"worker_id": peer.worker.id, "timeout_ms": limit_ms})
        for claims in self.claims.values():
            claims.discard(peer)
        peer.refused.clear()
        peer.draining = True
        self._let_the_drained_go(0)

    @rule(peer=consumes(peers))
    def drop(self, peer: Peer) -> None:
        peer.worker.drop()
        self._gone(peer)

    @rule(target=peers, peer=consumes(peers), right=st.booleans())
    def reattach(self, peer: Peer, right: bool) -> Peer:
        version = "0.22.1" if peer.takes_over else "0.23.0"
        successor = self.engine.connect(announce=False)
        token = peer.worker.session.reattach_token if right else "wrong"
        was_connected = peer.worker.connected
        stays_out = peer.draining and right
        successor.say({"type": "reattach", "previous_worker_id": peer.worker.id, "reattach_token": token})
        assert peer.worker.connected == (was_connected and not right)
        if not peer.worker.connected:
            self._gone(peer)
        self.names += 1
        successor.announce(name=f"w{self.names}", version=version, runtime="python")
        heir = Peer(successor, peer.takes_over)
        heir.draining = stays_out
        self.alive.append(heir)
        return heir

    @rule(seconds=st.sampled_from([0.01, IDLE_RELEASE_S, 1.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self._let_the_drained_go(seconds)

    def _let_the_drained_go(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for peer in [each for each in self.alive if not each.worker.connected]:
            assert peer.draining
            self._gone(peer)

    def _gone(self, peer: Peer) -> None:
        if peer in self.alive:
            self.alive.remove(peer)
        for claims in self.claims.values():
            claims.discard(peer)

    # -- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def those_serve_that_the_policy_names(self) -> None:
        for (namespace, function_id), claims in self.claims.items():
            function = self.engine.core.functions.exact(function_id, namespace)
            found = [] if function is None else [copy.owner for copy in function.copies or (function,)]
            assert found == [peer.worker.session for peer in claims.serving]

    @invariant()
    def every_listed_function_has_a_living_owner(self) -> None:
        living = {peer.worker.session for peer in self.alive}
        for function in self.engine.core.functions:
            assert function.owner.in_process or function.owner in living

    @invariant()
    def every_call_is_answered_once_or_still_runs(self) -> None:
        running = {
            (invocation.caller, invocation.call_id)
            for peer in self.alive
            for invocation in peer.worker.session.handling.values()
        }
        for peer in self.alive:
            for call in peer.calls:
                answered = peer.worker.answer_to(call) is not None  # which asserts that there is one at most
                assert answered != ((peer.worker.session, call) in running)

    @invariant()
    def bindings_are_with_their_provider(self) -> None:
        bindings, types = self.engine.core.bindings, self.engine.core.trigger_types
        refused = {binding_id for peer in self.alive for binding_id in peer.refused}

        def resolved(binding: Binding) -> Any:
            return types.resolve(binding.trigger_type, binding.trigger_namespace, binding.home)

        living = {peer.worker.session for peer in self.alive}
        for binding in bindings:
            assert binding.provider is not None
            assert binding.provider is resolved(binding)
            assert {share.owner for share in binding.shares} <= living
        for binding in bindings.parked.values():
            assert binding.provider is None
            assert binding.id in refused or resolved(binding) is None
            assert {share.owner for share in binding.shares} <= living

    @invariant()
    def owners_of_bindings_and_bindings_of_owners_agree(self) -> None:
        core = self.engine.core
        shares = {
            (share.owner, share.id): binding
            for binding in (*core.bindings, *core.bindings.parked.values())
            for share in binding.shares
        }
        owners = core.registry.binding_owners
        assert shares == {
            (peer.worker.session, given): binding
            for peer in self.alive
            for given, binding in owners.of(peer.worker.session).items()
        }
        several = [binding for binding in shares.values() if len(binding.shares) > 1]
        assert all(
            core.functions.ownership.claim_of(share.owner, binding.target) is not None
            for binding in several
            for share in binding.shares
        )

    @invariant()
    def nothing_is_kept_of_those_who_left(self) -> None:
        core = self.engine.core
        living = {peer.worker.session for peer in self.alive}
        assert set(core.roster.connections.values()) - {self.operator.session} == living
        assert set(core.roster.names.values()) - {self.operator.session} <= living
        assert not any(peer.worker.session in core.roster.names.values() for peer in self.alive if peer.draining)
        assert not core.registry.expected
        assert all(session.phase is Phase.SETTLED for session in living)

    @invariant()
    def workers_hear_only_json_objects(self) -> None:
        for peer in self.alive:
            for frame in peer.worker.link.frames:
                assert isinstance(json.loads(frame), dict)

    def teardown(self) -> None:
        self.engine.drop_all_workers()
        self.clock.advance(60)
        core = self.engine.core
        assert not core.roster.connections
        assert not core.roster.names
        assert not core.bindings.live
        assert not core.bindings.parked
        assert not core.registry.binding_owners
        assert not self.clock.timers


TestRegistry = RegistryMachine.TestCase
TestRegistry.settings = settings(max_examples=150, stateful_step_count=60, derandomize=True)
