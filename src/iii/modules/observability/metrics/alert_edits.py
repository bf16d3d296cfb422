"""Rules of alerts are made, changed and removed while the engine runs: in the configuration entry that has them (16 §6.1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from iii.engine.access.audit import asked_by
from iii.engine.access.by_caller import session_of
from iii.engine.ask import ask
from iii.engine.builtin import builtin
from iii.engine.invocation import Invocation
from iii.modules.observability.metrics.alert_rule import AlertAction, AlertRule
from iii.modules.observability.metrics.alert_texts import ENTRY, GET, rule_named
from iii.modules.observability.metrics.codes import ALERT_EXISTS, ALERTS_NOT_CHANGED
from iii.protocol.errors import InvalidArguments, InvocationError, InvocationForbidden
from iii.protocol.log_event import LogEvent
from iii.protocol.names import DEFAULT_NAMESPACE, is_blank, is_builtin_id
from iii.protocol.quoted import shortened
from iii.protocol.secrets import is_secret

if TYPE_CHECKING:
    from iii.engine.engine import Engine

RULE_SET = LogEvent(
    __name__, "alert.rule_set", logging.INFO, "Alert rule set",
    means="`engine::alerts::set` made a rule of alerts, or replaced one; `who` is who called it.",
)  # fmt: skip
RULE_DELETED = LogEvent(
    __name__, "alert.rule_deleted", logging.INFO, "Alert rule removed",
    means="`engine::alerts::delete` removed a rule of alerts; `who` is who called it.",
)  # fmt: skip

RULES = 500  # that are made by call
_NAME_CHARACTERS = 200
_SET = "configuration::set"
_CHANGED = "VALUE_CHANGED"  # what it answers where another change came first
_ATTEMPTS = 8
_WAIT_S = 10.0

_encode = msgspec.json.Encoder().encode


class AlertSetRequest(Struct, kw_only=True):
    rule: Annotated[AlertRule, Meta(description="The whole rule; it replaces the one of its name.")]
    replace: Annotated[bool, Meta(description="False: a rule of that name is not replaced, but an error.")] = True


class AlertSet(Struct):
    name: str
    created: Annotated[bool, Meta(description="False: a rule of that name was replaced.")]


class _Told(Struct):
    value: Raw = Raw(b"null")


class AlertDeleteRequest(Struct, kw_only=True):
    name: Annotated[str, Meta(description="Of the rule.")]


class AlertDeleted(Struct):
    deleted: Annotated[bool, Meta(description="False: there is no rule of that name.")]


_Change: TypeAlias = Callable[[list[Any]], list[Any] | None]
"""The rules as they are to be, from a copy of those that are; None: as they are."""


class AlertEdits:
    """One after the other: each writes all rules, unless somebody else has changed the entry meanwhile."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()

    @builtin("engine::alerts::set", spec="16 §6.1")
    async def set_alert(self, request: AlertSetRequest, invocation: Invocation) -> AlertSet:
        """Make a rule of alerts, or replace the one of its name, and keep it in the engine's configuration."""
        wanted, name = request.rule, request.rule.name
        _check(wanted)
        created, who = True, self._who(invocation)

        def change(rules: list[Any]) -> list[Any]:
            nonlocal created
            before = rule_named(rules, name)
            _check_rights(wanted, before, invocation)
            created = before is None
            if before is not None:
                if not request.replace:
                    raise ALERT_EXISTS(f"there is a rule '{shortened(name)}'; choose another name, or replace that one")
                return [msgspec.to_builtins(wanted) if each is before else each for each in rules]
            if len(rules) >= RULES:
                raise ALERTS_NOT_CHANGED(f"there are {len(rules)} rules, the limit; delete one first")
            return [*rules, msgspec.to_builtins(wanted)]

        await self._changed(change)
        RULE_SET(alert=name, created=created, **who)
        return AlertSet(name, created)

    @builtin("engine::alerts::delete", spec="16 §6.1")
    async def delete_alert(self, request: AlertDeleteRequest, invocation: Invocation) -> AlertDeleted:
        """Remove a rule of alerts from the engine's configuration."""

        def change(rules: list[Any]) -> list[Any] | None:
            left = [each for each in rules if not isinstance(each, dict) or each.get("name") != request.name]
            return left if len(left) < len(rules) else None

        who = self._who(invocation)
        if not await self._changed(change):
            return AlertDeleted(False)
        RULE_DELETED(alert=shortened(request.name), **who)
        return AlertDeleted(True)

    def _who(self, invocation: Invocation) -> dict[str, str | None]:
        """For the log; asked before anything is waited for, since the connection may end."""
        caller = invocation.caller
        return asked_by(None if caller is None else self._engine.roster.connections.get(caller.worker_id))

    async def _changed(self, change: _Change) -> bool:
        """Raises InvocationError: nothing has changed."""
        async with self._one_at_a_time:
            for _ in range(_ATTEMPTS):
                settings, expected = await self._settings()
                rules = change(_rules(settings))
                if rules is None:
                    return False
                value = _encode({**settings, "alerts": rules})
                try:
                    await self._ask(_SET, {"id": ENTRY, "value": Raw(value), "expected": expected})
                except InvocationError as error:
                    if error.code != _CHANGED:
                        raise
                else:
                    return True
        raise ALERTS_NOT_CHANGED(f"{ENTRY} is changed by others all the time; try it later")

    async def _settings(self) -> tuple[dict[str, Any], Raw]:
        """Of the module, with placeholders as they are written; and the same as it was told. Raises InvocationError."""
        answer = await self._ask(GET, {"id": ENTRY, "raw": True})
        told = msgspec.json.decode(answer, type=_Told).value
        settings = msgspec.json.decode(told) or {}
        if not isinstance(settings, dict):
            raise ALERTS_NOT_CHANGED(
                f"{ENTRY} is one placeholder, '{shortened(str(settings), 50)}'; store its value first"
            )
        name = secret_in(settings)
        if name is not None:
            raise ALERTS_NOT_CHANGED(
                f"`{name}` of {ENTRY} is a secret, which would be written to the disk; store the entry with a placeholder for it first"
            )
        return settings, told

    async def _ask(self, function_id: str, payload: dict[str, Any]) -> bytes:
        try:
            answer = await ask(self._engine.router, function_id, DEFAULT_NAMESPACE, _encode(payload), limit_s=_WAIT_S)
        except TimeoutError:
            raise ALERTS_NOT_CHANGED(f"{function_id} has not answered within {_WAIT_S:g} s") from None
        return answer or b"null"


def _check_rights(rule: AlertRule, before: dict[str, Any] | None, invocation: Invocation) -> None:
    """Raises InvocationForbidden. The engine fills placeholders and acts with its own rights, which a session has not.

    What its action is already gives a session nothing, but a call: it would come by another threshold.
    """
    guard = session_of(invocation)
    if guard is None or guard.refusal(_SET, None) is None:
        return
    if rule.action.path is not None and (why := guard.refusal(rule.action.path, None)) is not None:
        raise InvocationForbidden(message=why)
    if before is not None and _action(before.get("action")) == _action(msgspec.to_builtins(rule.action)):
        rule = msgspec.structs.replace(rule, action=AlertAction(type="log"))
    if b"${" in _encode(rule):
        raise InvocationForbidden(
            message="placeholders in rules not allowed for this session: write the values themselves"
        )
    if rule.action.allow_private_hosts:
        raise InvocationForbidden(message="`allow_private_hosts` not allowed for this session")


def _action(said: Any) -> Any:
    """Without what is as if it were not there."""
    return {key: value for key, value in said.items() if value not in (None, False)} if isinstance(said, dict) else said


def _check(rule: AlertRule) -> None:
    """Raises InvalidArguments."""
    if is_blank(rule.name) or len(rule.name) > _NAME_CHARACTERS:
        raise InvalidArguments(
            f"rule.name: expected 1 to {_NAME_CHARACTERS} characters, got '{shortened(rule.name, 50)}'"
        )
    if rule.action.path is not None and is_builtin_id(rule.action.path):
        raise InvalidArguments(
            f"rule.action.path: '{shortened(rule.action.path)}' is a function of the engine; name one of a worker, which may call it"
        )


def secret_in(settings: Any) -> str | None:
    """The name of a secret that is there itself: a block of the configuration file has its placeholders filled."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            if is_secret(name) and value and "${" not in str(value):
                return str(name)
    elif not isinstance(settings, list):
        return None
    members = settings.values() if isinstance(settings, dict) else settings
    return next((found for each in members if (found := secret_in(each)) is not None), None)


def _rules(settings: dict[str, Any]) -> list[Any]:
    """A copy. Raises InvocationError: they cannot be changed one by one."""
    rules = settings.get("alerts") or []
    if not isinstance(rules, list):
        raise ALERTS_NOT_CHANGED(
            f"`alerts` of {ENTRY} is not a list but '{shortened(str(rules), 50)}'; change the configuration"
        )
    return list(rules)
