"""What one app declares: kept for every connection, and registered at the present one (11 §1)."""

from __future__ import annotations

import uuid
from _thread import RLock  # `threading` takes longer to import than ten functions to declare
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from iii.protocol.replicas import ReplicaPolicy
from iii.sdk.function_declaration import FunctionDeclaration, id_taken
from iii.sdk.refs import FunctionRef, Trigger
from iii.sdk.requests import required
from iii.sdk.trigger_declaration import TriggerDeclaration, TriggerTypeDeclaration

if TYPE_CHECKING:
    from iii.sdk.observer import Observer
    from iii.sdk.observer_declaration import ObserverDeclaration
    from iii.sdk.observers import Observers
    from iii.sdk.registrar import Registrar


class AppDeclarations:
    """From any thread.

    Attributes:
        functions, trigger_types: by id, in the order of declaration.
        triggers, observers: in the order of declaration.
    """

    def __init__(self) -> None:
        self.functions: dict[str, FunctionDeclaration] = {}
        self.trigger_types: dict[str, TriggerTypeDeclaration] = {}
        self.triggers: list[TriggerDeclaration] = []
        self.observers: list[Observer] = []
        self._registrar: Registrar | None = None
        self._observers: Observers | None = None  # of the present connection
        self._replicas: ReplicaPolicy | None = None
        self._registered: dict[object, FunctionRef | Trigger] = {}  # by declaration, at the present connection
        self._lock = RLock()

    @property
    def replicated(self) -> bool:
        """Whether any function has the mark of replicas by itself (P8)."""
        with self._lock:
            return any(each.replicated for each in self.functions.values())

    def add_function(self, declared: FunctionDeclaration) -> FunctionRef:
        """Raises ValueError: the id is taken."""
        with self._lock:
            taken = self.functions.get(declared.id)
            if taken is not None:
                raise id_taken(declared.id, taken.place)
            self.functions[declared.id] = declared
            if self._registrar is not None:
                self._registered[declared] = self._registrar.add_function(declared, self._replicas)

        def unregister() -> None:
            with self._lock:
                if self.functions.get(declared.id) is declared:
                    del self.functions[declared.id]
                    self._withdraw(declared)

        return FunctionRef(declared.id, unregister)

    def add_trigger(self, declared: TriggerDeclaration) -> Trigger:
        with self._lock:
            self.triggers.append(declared)
            if self._registrar is not None:
                self._registered[declared] = self._registrar.add_trigger(declared)

        def unregister() -> None:
            with self._lock:
                if declared in self.triggers:
                    self.triggers.remove(declared)
                    self._withdraw(declared)

        return Trigger(str(uuid.uuid4()), unregister)

    def add_trigger_type(self, declared: TriggerTypeDeclaration) -> None:
        """One of the same id is replaced."""
        with self._lock:
            self.trigger_types[declared.id] = declared
            if self._registrar is not None:
                self._registrar.add_trigger_type(declared)

    def remove_trigger_type(self, wanted: str | Mapping[str, Any]) -> None:
        """By id or by a dict with `id`; an unknown one does nothing."""
        given = {"id": wanted} if isinstance(wanted, str) else wanted
        type_id = required(given, "id", "unregister_trigger_type()")
        with self._lock:
            self.trigger_types.pop(type_id, None)
            if self._registrar is not None:
                self._registrar.no_trigger_type(type_id, given.get("namespace"))

    def observe(self, declared: ObserverDeclaration) -> Observer:
        """Raises ValueError: the id is taken."""
        from iii.sdk.observer import Observer, id_in_use  # which most apps do without

        observer = Observer(declared, self._remove_observer)
        with self._lock:
            if any(each.id == observer.id for each in self.observers):
                raise id_in_use(observer.id)
            self.observers.append(observer)
            if self._observers is not None:
                self._observers.add(observer)
        return observer

    def _remove_observer(self, observer: Observer) -> None:
        with self._lock:
            if observer in self.observers:
                self.observers.remove(observer)
                if self._observers is not None:
                    self._observers.remove(observer)

    def register(self, registrar: Registrar, observers: Observers, replicas: ReplicaPolicy | None) -> None:
        """Register all of them, and from now on at once what is declared later.

        Args:
            observers: of the connection.
            replicas: the policy of the functions without one; None: the worker's.
        """
        with self._lock:
            self._registrar, self._observers, self._replicas = registrar, observers, replicas
            for trigger_type in self.trigger_types.values():
                registrar.add_trigger_type(trigger_type)
            for function in self.functions.values():
                self._registered[function] = registrar.add_function(function, replicas)
            for trigger in self.triggers:
                self._registered[trigger] = registrar.add_trigger(trigger)
            for observer in self.observers:
                observers.add(observer)

    def release(self) -> None:
        """The connection has ended."""
        with self._lock:
            self._registrar = self._observers = None
            self._registered.clear()

    def _withdraw(self, declared: object) -> None:
        registered = self._registered.pop(declared, None)
        if registered is not None:
            registered.unregister()
