"""What one session may do: every call and registration of it is judged here, and nowhere else (20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from iii.engine.access.audit import DENIED
from iii.engine.access.by_caller import proxy_refusal
from iii.engine.access.decision import refusal
from iii.engine.access.forwarded import forwarded_target
from iii.engine.access.hook_gate import HookGate
from iii.engine.access.middleware import Middleware
from iii.engine.access.registering import Registering
from iii.engine.enqueue import enqueue
from iii.protocol.errors import ConnectionClosing, InvocationForbidden
from iii.protocol.messages import Enqueue
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from iii.engine.access.rights import Rights
    from iii.engine.access.rules import ListenerRules
    from iii.engine.bindings import Binding
    from iii.engine.clock import Clock
    from iii.engine.functions import Function
    from iii.engine.invocation import Invocation
    from iii.engine.registry import Registry
    from iii.engine.router import Router
    from iii.protocol.messages import Void


class Access(NamedTuple):
    """With what a connection was let in."""

    rules: ListenerRules
    rights: Rights


class Guard:
    """Of one session.

    Attributes:
        registering: judges what it registers.
        identity: sessions with the same one share ids and names; None: it is trusted, its listener has no `rbac`.
    """

    __slots__ = (
        "_gate",
        "_ip_address",
        "_middleware",
        "_registry",
        "_router",
        "identity",
        "registering",
        "rights",
        "rules",
    )

    def __init__(
        self, access: Access, router: Router, registry: Registry, clock: Clock, ip_address: str | None
    ) -> None:
        self._router = router
        self._registry = registry
        self._ip_address = ip_address
        self._gate = HookGate(clock)
        self.renew(access)
        self.identity = None if self.rules.exposed is None else self.rights.identity
        self.registering = Registering(self, self._gate, router, registry, clock)

    def renew(self, access: Access) -> None:
        """Judge by these from now on; the identity stays."""
        rules, rights = self.rules, self.rights = access
        self._middleware = (
            None
            if rules.middleware is None
            else Middleware(self._router, rules.middleware, rights.context, self._ip_address)
        )

    # -- calls --------------------------------------------------------------------------------------------------------

    def judge(self, invocation: Invocation, action: Void | Enqueue | None) -> None:
        """Hand a call to whom it is for, or refuse it; after the registrations that its worker sent before."""
        if self._gate.busy:
            self._hold(invocation, lambda: self._judge(invocation, action))
        else:
            self._judge(invocation, action)

    def _judge(self, invocation: Invocation, action: Void | Enqueue | None, *, may_wait: bool = True) -> None:
        """A function that is expected may have metadata that exposes it: such a call is judged again, once (N2)."""
        function = self._router.functions.find(invocation.function_id, invocation.namespace)
        why = self._why_not(invocation, action, function)
        if why is None:
            self._hand_on(invocation, action, function)
        elif not (
            may_wait
            and function is None
            and self._registry.expected.hold(invocation, lambda held: self._judge(held, action, may_wait=False))
        ):
            self._refuse(invocation, why)

    def _hand_on(self, invocation: Invocation, action: Void | Enqueue | None, function: Function | None) -> None:
        middleware = self._middleware
        if middleware is not None and middleware.takes(invocation, function):
            middleware.invoke(invocation, action)
        elif type(action) is Enqueue:
            enqueue(self._router, invocation, action)
        else:
            self._router.invoke(invocation)

    def _why_not(self, invocation: Invocation, action: Void | Enqueue | None, function: Function | None) -> str | None:
        function_id, namespace = invocation.function_id, invocation.namespace
        metadata = None if function is None else function.metadata
        why = refusal(self.rules, self.rights, function_id, namespace, metadata)
        if why is None and self.rules.exposed is not None:
            if type(action) is Enqueue:
                return proxy_refusal(function_id)
            target = forwarded_target(function_id, memoryview(invocation.data))
            if target is not None:
                why = self.refusal(*target) or proxy_refusal(target[0])
        return why

    def _refuse(self, invocation: Invocation, why: str) -> None:
        caller = invocation.caller
        if caller is not None:
            caller.complain(DENIED, operation="call", id=invocation.function_id[:200], reason=why, **self.origin)
        invocation.refuse(InvocationForbidden(message=why))

    def _hold(self, invocation: Invocation, go_on: Callable[[], None]) -> None:
        caller, size = invocation.caller, invocation.keep()
        if self._gate.full or (caller is not None and not caller.waiting.take(size)):
            invocation.refuse(ConnectionClosing("too many calls wait for a registration hook of this connection"))
            return

        def step(done: Callable[[], None]) -> None:
            if caller is not None:
                caller.waiting.give_back(size)
            if invocation.call_id is None or invocation.waiter is not None:  # else it was withdrawn
                go_on()
            done()

        self._gate.add(step)

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def origin(self) -> dict[str, str | None]:
        """For the log: who, and from where."""
        return {"who": self.rights.who, "ip_address": self._ip_address}

    def refusal(self, function_id: str, namespace: str | None) -> str | None:
        """Why it may not call a function; None: it may."""
        function = self._router.functions.find(function_id, namespace)
        metadata = None if function is None else function.metadata
        return refusal(self.rules, self.rights, function_id, namespace, metadata)

    def sees(self, function: Function) -> bool:
        """Whether lists show it a function."""
        if refusal(self.rules, self.rights, function.id, function.namespace, function.metadata) is None:
            return True
        if function.id in self.rights.forbidden:
            return False
        return any(each.fits(function.id, function.namespace, function.metadata) for each in self.rights.seen)

    def sees_target(self, binding: Binding) -> bool:
        """Whether lists show it a trigger: one of a function that it sees; there may be none yet."""
        function = self._router.functions.find(binding.function_id, binding.namespace)
        if function is not None:
            return self.sees(function)
        return self.refusal(binding.function_id, binding.namespace) is None

    def sees_type(self, trigger_type: str) -> bool:
        types = self.rights.trigger_types
        return types is None or trigger_type in types

    def check_namespace(self, declared: str | None) -> None:
        """Raises InvocationForbidden: its worker may not be in this namespace."""
        namespace = declared if declared is not None else DEFAULT_NAMESPACE
        if not self.rights.may_declare(namespace):
            permitted = ", ".join(sorted(self.rights.namespaces))
            raise InvocationForbidden(
                message=f"namespace '{namespace}' not allowed for this session (permitted: {permitted})"
            )

    def when_idle(self, action: Callable[[], None]) -> None:
        """Run `action` when no registration waits for a hook."""
        if not self._gate.busy:
            action()
            return

        def step(done: Callable[[], None]) -> None:
            action()
            done()

        self._gate.add(step)

    def end(self) -> None:
        """The connection is gone."""
        self._gate.end()
        self.registering.end()
