"""The registry of functions: who runs an id in a namespace (01 §7.1, 02 §3.1)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import msgspec

from iii.engine.entrusted import Entrusted
from iii.engine.listeners import Listeners
from iii.engine.observing.traits import ORDINARY, Traits
from iii.engine.owner import Owner
from iii.engine.ownership import Key, Ownership
from iii.engine.replicas import ReplicaRule, spread
from iii.engine.schema import Schema, made
from iii.protocol.messages import HttpInvocation, RegisterFunction
from iii.protocol.names import DEFAULT_NAMESPACE, is_builtin_id
from iii.protocol.replicas import ReplicaPolicy

if TYPE_CHECKING:
    from iii.engine.invocation import Invocation
    from iii.engine.observing.watch import CallWatch
    from iii.engine.tally import Tally


_REFUSED = 100  # registrations whose reason is remembered


Deliver: TypeAlias = "Callable[[Invocation, Function], None]"
"""Runs an invocation of a function: answers through it, now or later. Never raises."""


class UrlCaller(Protocol):
    """Runs functions that are URLs: registrations with an `invocation` (01 §5.1)."""

    def take(self, function: "Function") -> None:
        """Check one. Raises InvocationError: it cannot be called."""

    def deliver(self, invocation: "Invocation", function: "Function") -> None:
        """As `Deliver`."""


class Function:
    """One registration of a function id by one owner; formats and metadata are JSON as sent, null when absent.

    Attributes:
        formats: of request and response, made or not; two that are equal are of equal schemas.
        replicas: how calls are spread over it and its copies; None: it serves alone (P8).
        copies: the registrations that serve together, of what looks like the first of them; else empty.
        tally: counts its calls, from the first one on.
        own_id: what its worker calls it, which may be another id (20 §3).
        observers: what follows its calls; None: nobody observes them (21 §1).
        traits: how it may be observed.
        traced: whether calls with trace context have spans of the engine, whoever serves them (17 §1).
        trace_end: how a call with trace context ends; made with the first one.
        confirmed: whether its worker was told that it serves it.
    """

    __slots__ = (
        "call_members", "confirmed", "copies", "deliver", "description", "formats", "id", "invocation", "key", "metadata", "namespace",
        "observers", "own_id", "owner", "replicas", "tally", "trace_end", "traced", "traits",
    )  # fmt: skip

    def __init__(
        self,
        namespace: str,
        function_id: str,
        owner: Owner,
        deliver: Deliver,
        *,
        description: str | None = None,
        request_format: Schema = b"null",
        response_format: Schema = b"null",
        metadata: bytes = b"null",
        invocation: HttpInvocation | None = None,
        replicas: ReplicaPolicy | None = None,
        copies: Sequence["Function"] = (),
        traits: Traits = ORDINARY,
    ) -> None:
        self.namespace = namespace
        self.id = function_id
        self.key: Key = (namespace, function_id)
        self.known_as(function_id)
        self.owner = owner
        self.deliver = deliver
        self.description = description
        self.formats = request_format, response_format
        self.metadata = metadata
        self.invocation = invocation
        self.replicas = replicas
        self.copies = copies
        self.tally: Tally | None = None
        self.trace_end = b""
        self.traced = invocation is not None or is_builtin_id(function_id)
        self.observers: CallWatch | None = None
        self.traits = traits
        self.confirmed = False

    def known_as(self, own_id: str) -> None:
        """Its worker calls it so, which may be another id (20 §3): what stands before the payload of a call."""
        self.own_id = own_id
        self.call_members = b'","function_id":%b,"data":' % msgspec.json.encode(own_id)

    @property
    def request_format(self) -> bytes:
        return made(self.formats[0])

    @property
    def response_format(self) -> bytes:
        return made(self.formats[1])

    @property
    def shared(self) -> bool:
        return self.replicas is not None

    @classmethod
    def from_message(
        cls,
        message: RegisterFunction,
        namespace: str,
        owner: Owner,
        deliver: Deliver,
        replicas: ReplicaPolicy | None = None,
        traits: Traits = ORDINARY,
    ) -> "Function":
        return cls(
            namespace,
            message.id,
            owner,
            deliver,
            description=message.description,
            # copies: a Raw keeps its whole frame alive
            request_format=bytes(message.request_format),
            response_format=bytes(message.response_format),
            metadata=bytes(message.metadata),
            invocation=message.invocation,
            replicas=replicas,
            traits=traits,
        )

    @classmethod
    def of_copies(cls, copies: Sequence["Function"]) -> "Function":
        """What a lookup finds where several serve together: it looks like the first, and spreads calls as that one says."""
        first = copies[0]
        assert first.replicas is not None  # it shares
        return cls(
            first.namespace,
            first.id,
            first.owner,
            spread(first.replicas, copies),
            description=first.description,
            request_format=first.formats[0],
            response_format=first.formats[1],
            metadata=first.metadata,
            invocation=first.invocation,
            replicas=first.replicas,
            copies=copies,
            traits=first.traits,
        )


class FunctionRegistry:
    """Lookups are dictionary reads; `changes` tells of each id that has another function, None for none.

    Attributes:
        in_default: the active registration of an id in the namespace `default`.
        served: told of each id that others serve, further copies too, or that nobody does any more.
    """

    def __init__(self) -> None:
        self._namespaces: dict[str, dict[str, Function]] = {DEFAULT_NAMESPACE: {}}
        self._default = self._namespaces[DEFAULT_NAMESPACE]
        self.in_default: Callable[[str], Function | None] = self._default.get
        self._builtin_ids: set[str] = set()
        self.ownership: Ownership[Function] = Ownership(self._changed)
        self.refused: dict[Key, str] = {}  # why the last registration of it was; for callers, who find nothing
        self.changes: Listeners[[Function | None, Function | None]] = Listeners()
        self.served: Listeners[[Key]] = Listeners()
        self._watches: dict[Key, CallWatch] = {}
        self.replica_rules: list[ReplicaRule] = []
        self.entrusted = Entrusted()
        self.entrusted.added.subscribe(self._distrust)
        self.url_caller: UrlCaller | None = None

    def find(self, function_id: str, namespace: str | None) -> Function | None:
        """The active registration; absent namespace is `default`; builtins answer to any namespace (N5)."""
        if namespace is None or namespace == DEFAULT_NAMESPACE:
            return self._default.get(function_id)
        functions = self._namespaces.get(namespace)
        function = functions.get(function_id) if functions is not None else None
        if function is None and function_id in self._builtin_ids:
            return self._default.get(function_id)
        return function

    def exact(self, function_id: str, namespace: str) -> Function | None:
        return self._namespaces.get(namespace, {}).get(function_id)

    def namespaces_of(self, function_id: str) -> list[str]:
        """Where an id is registered, sorted."""
        return sorted(namespace for namespace, functions in self._namespaces.items() if function_id in functions)

    def __iter__(self) -> Iterator[Function]:
        for functions in self._namespaces.values():
            yield from functions.values()

    def __len__(self) -> int:
        return sum(len(functions) for functions in self._namespaces.values())

    def active_of(self, owner: Owner) -> list[Function]:
        """What lists show as an owner's; standbys and further copies are not counted."""
        return [claim for claim in self.ownership.claims_of(owner) if self.ownership.active(claim.key) is claim]

    def has_copies(self, owner: Owner) -> bool:
        """Whether other workers may serve what an owner does, and have its name (P10)."""
        return bool(self.replica_rules) or any(claim.shared for claim in self.ownership.claims_of(owner))

    def call_urls(self, url_caller: UrlCaller) -> None:
        """From now on workers can register URLs as functions."""
        self.url_caller = url_caller

    def is_builtin(self, function_id: str) -> bool:
        """Whether the engine process implements the id, on top or below a worker's override."""
        return function_id in self._builtin_ids

    def is_source(self, function_id: str) -> bool:
        """Whether the engine process has it to be observed, which no worker may replace (21 §13)."""
        claims = self.ownership.claims((DEFAULT_NAMESPACE, function_id))
        return bool(claims) and claims[0].traits.is_source

    def _distrust(self, function_id: str) -> None:
        """Sessions that have an id which decides about access from now on had it first, and lose it."""
        for namespace in self.namespaces_of(function_id):
            key = (namespace, function_id)
            for claim in list(self.ownership.claims(key)):
                claim.owner.distrusted(key)

    def add_builtin(self, function: Function) -> None:
        self._builtin_ids.add(function.id)
        self.ownership.claim(function, takes_over=True)

    def register(self, function: Function, takes_over: bool) -> Function | None:
        """Register a worker's function. Returns the incumbent that stays active, or None (N4).

        Over a builtin a worker's registration always takes over; the builtin is its standby (N6).
        """
        incumbent = self.ownership.active(function.key)
        over_builtin = incumbent is not None and incumbent.owner.in_process
        return self.ownership.claim(function, takes_over or over_builtin)

    def refuse(self, key: Key, why: str) -> None:
        """Remember why a registration that its worker is not told of was refused."""
        self.refused.pop(key, None)
        self.refused[key] = why
        if len(self.refused) > _REFUSED:
            del self.refused[next(iter(self.refused))]

    def _changed(self, key: Key, previous: Function | None, current: Function | None) -> None:
        namespace, function_id = key
        if current is not None:
            if self.refused:
                self.refused.pop(key, None)
            serving = self.ownership.serving(key)
            found = current if len(serving) == 1 else Function.of_copies(serving)
            if self._watches:
                self._watched(key, found)
            self._namespaces.setdefault(namespace, {})[function_id] = found
        else:
            functions = self._namespaces[namespace]
            del functions[function_id]
            if not functions and namespace != DEFAULT_NAMESPACE:
                del self._namespaces[namespace]
        if previous is not current:
            if previous is not None:
                previous.confirmed = False
            self.changes(previous, current)
        self.served(key)

    def watch(self, key: Key, watch: "CallWatch | None") -> None:
        """From now on calls of a function are followed, whoever serves it; or no longer (21 §1)."""
        if self._watches.get(key) is watch:
            return
        if watch is None:
            del self._watches[key]
        else:
            self._watches[key] = watch
        found = self._namespaces.get(key[0], {}).get(key[1])
        if found is not None:
            self._watched(key, found)

    def _watched(self, key: Key, found: Function) -> None:
        watch = self._watches.get(key)
        for function in (found, *self.ownership.claims(key)):
            function.observers = None if function.traits.owner_delivers else watch
