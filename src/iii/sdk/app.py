"""A worker that is declared first and connected later (11)."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar, cast, overload

from iii.protocol.messages import HttpInvocation
from iii.protocol.names import is_blank
from iii.protocol.replicas import ReplicaPolicy
from iii.sdk import hints
from iii.sdk.app_declarations import AppDeclarations
from iii.sdk.decorator_form import without_parentheses
from iii.sdk.function_declaration import FunctionDeclaration
from iii.sdk.refs import FunctionRef, Trigger, TriggerTypeRef
from iii.sdk.replicas import check_replicas
from iii.sdk.requests import FunctionInput, TriggerInput, TriggerTypeInput
from iii.sdk.trigger_declaration import TriggerDeclaration, TriggerTypeDeclaration
from iii.sdk.worker import Worker
from iii.sdk.worker_name import checked_name, own_name

if TYPE_CHECKING:
    from iii.sdk.dependency import Dependency, Hook

T = TypeVar("T")
H = TypeVar("H", bound=Callable[[], Any])


class App(Worker):
    """A worker that is declared first and connected later, by `run` or `connect`.

    It has everything that a worker has. Functions, triggers, hooks and dependencies are declared without an engine, so a
    module that declares them can be imported anywhere; what is wrong with a declaration is raised where it is written.
    Whatever needs the engine, such as `trigger` and `state`, raises `RuntimeError` while the app is not connected.

    Args:
        name: of the program. Each process announces it with four random characters, unless `options` or
            `III_WORKER_NAME` names the worker.
        replicas: as in `InitOptions`.
        options: everything else about the worker.

    Raises:
        ValueError: the name is empty, or there is no such policy. TypeError: `replicas` is given twice, or `options` is not an `InitOptions`.
    """

    def __init__(
        self, name: str, *, replicas: ReplicaPolicy | None = None, options: hints.InitOptions | None = None
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of an app must be str, got {type(name).__name__}")
        if is_blank(name):
            raise ValueError(f"the name of an app is empty: got {name!r}")
        checked_name("the name of an app", name)
        if options is not None:
            from iii.sdk.options import checked_options  # as in `options`

            checked_options(options)
        if replicas is not None and options is not None and options.replicas is not None:
            raise TypeError(f"replicas of app '{name}' is given twice: to the app and in its options")
        check_replicas(replicas)
        self.name = name
        self.has_options = options is not None
        self._options = options if options is None or replicas is None else replace(options, replicas=replicas)
        self._replicas = replicas
        self.declared = AppDeclarations()
        self.dependencies: list[Dependency[Any]] = []
        self.start_hooks: list[Hook] = []
        self.stop_hooks: list[Hook] = []
        self.ran = False
        self._included: list[App] = []
        self._connected = False
        super().__init__(self._nowhere())

    # -- declarations ---------------------------------------------------------------------------------------------

    def include(self, other: App) -> None:
        """Serve what another app declares as well, before or after this.

        The other app is connected whenever this one is. Its dependencies and hooks come before this one's, and `replicas` of
        this one holds where the other has none.

        Raises:
            ValueError: it is this app or includes it, or has options of its own, of which a worker has one set; or both
                have a function with one id. RuntimeError: this app is connected. TypeError: it is not an app.
        """
        if not isinstance(other, App):
            raise TypeError(f"an app includes another iii.App, got {other!r:.200}")
        if self._connected:
            raise RuntimeError(f"app '{self.name}' is connected: include app '{other.name}' before")
        if self in other.members():
            raise ValueError(f"app '{self.name}' cannot include app '{other.name}', which is it or includes it")
        if other.has_options:
            raise ValueError(f"app '{other.name}' has options, which hold only in an app that is included by none")
        mine = {id: each.place for member in self.members() for id, each in member.declared.functions.items()}
        for member in other.members():
            if member not in self.members() and (twice := mine.keys() & member.declared.functions.keys()):
                places = f"at {mine[min(twice)]} and at {member.declared.functions[min(twice)].place}"
                raise ValueError(
                    f"apps '{self.name}' and '{member.name}' both declare function '{min(twice)}': {places}"
                )
        self._included.append(other)

    @without_parentheses
    def on_start(self, hook: H) -> H:
        """Call the decorated function, sync or async, each time the app has connected, before it serves.

        An error in it ends the start. It takes no arguments.
        """
        self.start_hooks.append(hook)
        return hook

    @without_parentheses
    def on_stop(self, hook: H) -> H:
        """Call the decorated function, sync or async, each time the app has stopped serving, before it disconnects.

        Such hooks are called in the opposite order; an error is logged. Each has 10 s. It takes no arguments.
        """
        self.stop_hooks.append(hook)
        return hook

    @overload
    def dependency(self, make: Callable[[], AsyncIterator[T]]) -> hints.Dependency[T]: ...
    @overload
    def dependency(self, make: Callable[[], Awaitable[T]]) -> hints.Dependency[T]: ...
    @overload
    def dependency(self, make: Callable[[], Iterator[T]]) -> hints.Dependency[T]: ...
    @overload
    def dependency(self, make: Callable[[], T]) -> hints.Dependency[T]: ...
    @without_parentheses
    def dependency(self, make: Callable[[], Any]) -> hints.Dependency[Any]:
        """Make something once, such as a pool of connections, before the start hooks; calling the decorated name gives it.

        The function, sync or async, returns it, or yields it and closes it after the `yield`, when the app has stopped.
        Dependencies are made in the order of their declaration, so one may use those before it, and closed in the opposite.
        """
        from iii.sdk.dependency import Dependency  # which many apps do without

        made: Dependency[Any] = Dependency(make, self.name)
        self.dependencies.append(made)
        return made

    def register_function(
        self,
        function_id: str | FunctionInput,
        handler_or_invocation: Callable[..., Any] | HttpInvocation,
        *,
        description: str | None = None,
        metadata: Any = None,
        request_format: Any = None,
        response_format: Any = None,
        replicas: ReplicaPolicy | None = None,
    ) -> FunctionRef:
        """Declare a function, as `Worker.register_function`; it is served whenever the app is connected."""
        options = {
            "description": description,
            "metadata": metadata,
            "request_format": request_format,
            "response_format": response_format,
            "replicas": replicas,
        }
        return self.declared.add_function(FunctionDeclaration(function_id, options, handler_or_invocation))

    def register_trigger(self, trigger: TriggerInput) -> Trigger:
        """Declare a trigger; it is bound whenever the app is connected."""
        declaration = TriggerDeclaration(trigger)
        declaration.message("", None)  # what cannot be sent is raised here
        return self.declared.add_trigger(declaration)

    def register_trigger_type(self, trigger_type: TriggerTypeInput, handler: hints.TriggerHandler) -> TriggerTypeRef:
        """Declare a trigger type, as `Worker.register_trigger_type`; it is provided whenever the app is connected."""
        self.declared.add_trigger_type(TriggerTypeDeclaration(trigger_type, handler))
        return TriggerTypeRef(trigger_type["id"], self)

    def unregister_trigger_type(self, trigger_type: str | Mapping[str, Any]) -> None:
        """Do not provide a type any more, by id or by a dict with `id`."""
        self.declared.remove_trigger_type(trigger_type)

    def _observe(self, declared: hints.ObserverDeclaration) -> hints.Observer:
        return self.declared.observe(declared)

    # -- the connection -------------------------------------------------------------------------------------------

    def run(self, address: str | None = None) -> None:
        """Connect, start and serve until SIGTERM, Ctrl-C or `shutdown`; then let handlers end, stop, and return.

        The event loop runs on this thread. Waits for an engine that is not there yet, for as long as it takes. A second
        signal ends the process at once; handlers for signals that the program has installed stay.

        Args:
            address: of the engine; the default is `III_URL`, then `ws://127.0.0.1:49134`.

        Raises:
            SystemExit: with a message and exit code 1: the engine refuses the worker, or functions or triggers of it, with
                their names and config; or the address is not one of a WebSocket.
            RuntimeError: in a running event loop, which takes `connect`; or the app is connected already.
        """
        from iii.sdk.app_process import serve_until_told  # with asyncio, which a declared app does without

        self.ran = True
        serve_until_told(self, address)

    def connect(self, address: str | None = None) -> AbstractAsyncContextManager[Self]:
        """Connect, start and serve on the running event loop: ``async with app.connect(): ...``

        Entering waits for the engine, at most `connect_timeout_ms`; then the app starts without, with a warning. Leaving
        lets handlers end, and stops. SIGTERM ends the event loop of the main thread, as with `connect_worker`.

        Args:
            address: as of `run`.

        Raises:
            DeclarationRefused: on entering: the engine refuses functions or triggers. RegistrationRejected, ConnectionError:
                as `register_worker`. RuntimeError: the app is connected already.
            ValueError: the address is not a WebSocket URL.
        """
        from iii.sdk.app_life import entered  # as in `run`

        return entered(self, address)

    def get_connection_state(self) -> hints.ConnectionState:
        """As a worker's; `disconnected` also before it connects."""
        return super().get_connection_state() if self._connected else "disconnected"

    @property
    def worker_id(self) -> str | None:
        """What the engine calls the last connection; None before the first, and when it has ended."""
        return super().worker_id if self._connected else None

    def __repr__(self) -> str:
        return f"<App {self.name!r} {self.get_connection_state()}>"

    # -- behind the doors -----------------------------------------------------------------------------------------

    def members(self) -> list[App]:
        """All apps that it serves, each once, in the order of their start: itself last."""
        found: dict[App, None] = {}
        for other in self._included:
            found |= dict.fromkeys(other.members())
        return [*found, self]

    @property
    def options(self) -> hints.InitOptions:
        """What it was given, or the defaults."""
        if self._options is None:
            from iii.sdk.options import InitOptions  # many classes, which an app that is only declared does without

            self._options = InitOptions(replicas=self._replicas)
        return self._options

    @options.setter
    def options(self, _given: object) -> NoReturn:
        raise AttributeError(f"options of app '{self.name}' cannot be assigned: give them to iii.App(..., options=…)")

    def worker_options(self) -> hints.InitOptions:
        """The options of one worker, with a name of its own; telemetry is about the app, whatever its workers are called."""
        named = (self.options.worker_name or "").strip()
        options = self.options if named else replace(self.options, worker_name=own_name(self.name))
        service = options.otel_config.service_name or os.environ.get("OTEL_SERVICE_NAME") or self.name
        return replace(options, otel=replace(options.otel_config, service_name=service))

    def attach(self, core: hints.WorkerCore) -> None:
        if self._connected:
            raise RuntimeError(f"app '{self.name}' is connected already")
        self._core, self._connected = core, True
        if self.options.replicas is not None or self.declared.replicated:
            core.registrar.will_be_replicated()  # for the announcement, which comes before the functions

    def register(self) -> None:
        self.declared.register(self._core.registrar, self._core.observers, self.options.replicas)

    def detach(self) -> None:
        self.declared.release()
        self._core, self._connected = self._nowhere(), False

    def _nowhere(self) -> hints.WorkerCore:
        return cast("hints.WorkerCore", _NotConnected(self.name))


class _NotConnected:
    """In the place of a core: whatever is asked of it raises."""

    def __init__(self, app: str) -> None:
        self._app = app

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError(f"app '{self._app}' is not connected: app.run() or app.connect() connects it")
