"""Hooks: functions that are asked about each registration, and may change it (20 §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct

from iii.engine.question import Question
from iii.protocol.json_text import BAD_JSON
from iii.protocol.messages import NULL
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.router import Router
    from iii.protocol.errors import InvocationError
    from iii.protocol.messages import RegisterFunction, RegisterTrigger, RegisterTriggerType

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Raw]).decode
_text = msgspec.json.Decoder(str).decode


class _FunctionInput(Struct):
    function_id: str
    description: str | None
    metadata: Raw
    namespace: str
    context: Raw


class _TriggerInput(Struct):
    trigger_id: str
    trigger_type: str
    function_id: str
    config: Raw
    metadata: Raw
    namespace: str
    context: Raw


class _TypeInput(Struct):
    trigger_type_id: str
    description: str | None
    context: Raw


def function_input(message: RegisterFunction, namespace: str, context: bytes) -> bytes:
    """The id is as the client sent it, without the prefix."""
    return _encode(_FunctionInput(message.id, message.description, message.metadata, namespace, Raw(context)))


def trigger_input(message: RegisterTrigger, context: bytes) -> bytes:
    config = NULL if message.config is UNSET else Raw(bytes(message.config))
    namespace = message.namespace or DEFAULT_NAMESPACE
    return _encode(
        _TriggerInput(
            message.id, message.trigger_type, message.function_id, config, message.metadata, namespace, Raw(context)
        )
    )


def type_input(message: RegisterTriggerType, context: bytes) -> bytes:
    return _encode(_TypeInput(message.id, message.description, Raw(context)))


class Replacements:
    """What a hook wants to be different; members of another type than expected change nothing."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Raw]) -> None:
        self._members = members

    def text(self, name: str) -> str | None:
        """A text; None: unchanged."""
        value = self._members.get(name)
        if value is None:
            return None
        try:
            return _text(value)
        except BAD_JSON:
            return None

    def raw(self, name: str) -> Raw | None:
        """Any JSON, null too; None: unchanged."""
        value = self._members.get(name)
        return None if value is None else Raw(bytes(value))


class HookCall:
    """One question to a hook. `decided` is told what it changes, or None: denied."""

    __slots__ = ("_clock", "_decided", "_hook", "_limit_s", "_question", "_router")

    def __init__(
        self, router: Router, clock: Clock, hook: str, limit_s: float, decided: Callable[[Replacements | None], None]
    ) -> None:
        self._router = router
        self._clock = clock
        self._hook = hook
        self._limit_s = limit_s
        self._decided = decided
        self._question: Question | None = None

    def ask(self, payload: bytes) -> None:
        """Once; the answer may come within."""
        self._question = Question(self._router, self._clock, self._hook, payload, self._limit_s, self._answered)

    def withdraw(self) -> None:
        """The session is gone."""
        if self._question is not None:
            self._question.withdraw(cancels=True)

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        if error is not None or result is None:
            self._decided(None)
            return
        try:
            members = _object(result)
        except BAD_JSON:  # null, or no object
            self._decided(None)
            return
        self._decided(Replacements(members))
