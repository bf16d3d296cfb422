"""Rules of alerts are made, changed and removed while the engine runs: in the configuration entry that has them (16 §6.1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from iii.engine.access.by_caller import session_of
from iii.engine.ask import ask
from iii.engine.builtin import builtin
from iii.engine.invocation import Invocation
from iii.modules.observability.metrics.alert_rule import AlertRule
from iii.modules.observability.metrics.codes import ALERTS_NOT_CHANGED
from iii.protocol.errors import InvalidArguments, InvocationForbidden
from iii.protocol.names import DEFAULT_NAMESPACE, is_blank, is_builtin_id
from iii.protocol.quoted import shortened
from iii.protocol.secrets import is_secret

if TYPE_CHECKING:
    from iii.engine.engine import Engine

ENTRY = "iii-observability"
RULES = 500  # that are made by call
_NAME_CHARACTERS = 200
_SET = "configuration::set"
_WAIT_S = 10.0

_encode = msgspec.json.Encoder().encode


class AlertSetRequest(Struct, kw_only=True):
    rule: Annotated[AlertRule, Meta(description="The whole rule; it replaces the one of its name.")]


class AlertSet(Struct):
    name: str
    created: Annotated[bool, Meta(description="False: a rule of that name was replaced.")]


class AlertDeleteRequest(Struct, kw_only=True):
    name: Annotated[str, Meta(description="Of the rule.")]


class AlertDeleted(Struct):
    deleted: Annotated[bool, Meta(description="False: there is no rule of that name.")]


class _Value(Struct):
    value: Any = None


class AlertEdits:
    """One after the other: each writes all rules."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._one_at_a_time = asyncio.Lock()

    @builtin("engine::alerts::set", spec="16 §6.1")
    async def set_alert(self, request: AlertSetRequest, invocation: Invocation) -> AlertSet:
        """Make a rule of alerts, or replace the one of its name, and keep it in the engine's configuration."""
        rule = msgspec.to_builtins(request.rule)
        _check(request.rule)
        self._check_rights(request.rule, invocation)
        async with self._one_at_a_time:
            settings = await self._settings()
            rules = _rules(settings)
            at = next((at for at, each in enumerate(rules) if _name(each) == request.rule.name), None)
            if at is not None:
                rules[at] = rule
            elif len(rules) >= RULES:
                raise ALERTS_NOT_CHANGED(f"there are {len(rules)} rules, the limit; delete one first")
            else:
                rules.append(rule)
            await self._write({**settings, "alerts": rules})
        return AlertSet(request.rule.name, at is None)

    @builtin("engine::alerts::delete", spec="16 §6.1")
    async def delete_alert(self, request: AlertDeleteRequest) -> AlertDeleted:
        """Remove a rule of alerts from the engine's configuration."""
        async with self._one_at_a_time:
            settings = await self._settings()
            rules = _rules(settings)
            left = [each for each in rules if _name(each) != request.name]
            if len(left) == len(rules):
                return AlertDeleted(False)
            await self._write({**settings, "alerts": left})
        return AlertDeleted(True)

    def _check_rights(self, rule: AlertRule, invocation: Invocation) -> None:
        """Raises InvocationForbidden. The engine fills placeholders and acts with its own rights, which a session has not."""
        guard = session_of(invocation)
        if guard is None or guard.refusal(_SET, None) is None:
            return
        if b"${" in _encode(rule):
            raise InvocationForbidden(
                message="placeholders in rules not allowed for this session: write the values themselves"
            )
        if rule.action.allow_private_hosts:
            raise InvocationForbidden(message="`allow_private_hosts` not allowed for this session")
        if rule.action.path is not None and (why := guard.refusal(rule.action.path, None)) is not None:
            raise InvocationForbidden(message=why)

    async def _settings(self) -> dict[str, Any]:
        """Of the module, with placeholders as they are written. Raises InvocationError."""
        answer = await self._ask("configuration::get", {"id": ENTRY, "raw": True})
        settings: dict[str, Any] = msgspec.json.decode(answer, type=_Value).value or {}
        name = secret_in(settings)
        if name is not None:
            raise ALERTS_NOT_CHANGED(
                f"`{name}` of {ENTRY} is a secret, which would be written to the disk; store the entry with a placeholder for it first"
            )
        return settings

    async def _write(self, settings: dict[str, Any]) -> None:
        """Raises InvocationError: the rules make no sense, or cannot be stored; nothing has changed."""
        await self._ask(_SET, {"id": ENTRY, "value": Raw(_encode(settings))})

    async def _ask(self, function_id: str, payload: dict[str, Any]) -> bytes:
        try:
            answer = await ask(self._engine.router, function_id, DEFAULT_NAMESPACE, _encode(payload), limit_s=_WAIT_S)
        except TimeoutError:
            raise ALERTS_NOT_CHANGED(f"{function_id} has not answered within {_WAIT_S:g} s") from None
        return answer or b"null"


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


def _name(rule: Any) -> Any:
    return rule.get("name") if isinstance(rule, dict) else None
