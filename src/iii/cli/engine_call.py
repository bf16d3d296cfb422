"""Calls to a running engine: connect, ask, leave (07 §8.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from iii.cli.address import Address
from iii.cli.asking import Asking
from iii.cli.parser import CommandFailed
from iii.protocol.errors import FunctionNotFound, InvocationError

T = TypeVar("T")


class CallResult:
    """What the function answered, and which worker this command was."""

    def __init__(self, result: Any, worker_id: str | None) -> None:
        self.result = result
        self.worker_id = worker_id


Following = Callable[[Any], object | None]


def _nothing(result: Any) -> None:
    return None


def asked(address: Address, command: str, function_id: str, payload: object, module: str | None = None) -> CallResult:
    """As `ask`, where an error of the function is the end of the command. Raises CommandFailed.

    Args:
        module: whose function it is; the engine may not run it.
    """
    try:
        return ask(address, command, function_id, payload)
    except InvocationError as error:
        raise CommandFailed(in_words(error, module)) from None


def in_words(error: InvocationError, module: str | None = None) -> str:
    """An error of a function for people; that of one which is missing names the module that would have it."""
    if module is not None and isinstance(error, FunctionNotFound):
        return f"this engine does not run the module {module}; add `- name: {module}` to its configuration"
    return f"{error.code}: {error.message}"


def ask(
    address: Address,
    command: str,
    function_id: str,
    payload: object,
    namespace: str | None = None,
    following: Following = _nothing,
) -> CallResult:
    """Call a function, in `default` if no namespace is given.

    Args:
        following: given a result, with what to call it again on the same connection; None ends that.

    Raises EngineUnreachable, EngineSilent, or the InvocationError that the call ended with.
    """

    async def talk(asking: Asking) -> CallResult:
        result = await asking(function_id, payload, namespace)
        while (again := following(result)) is not None:
            result = await asking(function_id, again, namespace)
        return CallResult(result, asking.worker_id)

    return conversation(address, command, talk)


def asked_several(address: Address, command: str, talk: Callable[[Asking], Awaitable[T]]) -> T:
    """What a conversation of several calls over one connection comes to. Raises CommandFailed."""
    try:
        return conversation(address, command, talk)
    except InvocationError as error:
        raise CommandFailed(in_words(error)) from None


def conversation(address: Address, command: str, talk: Callable[[Asking], Awaitable[T]]) -> T:
    """The same, where an error of a function is for the command. Raises CommandFailed, InvocationError."""
    return asyncio.run(_converse(address, command, talk))


async def _converse(address: Address, command: str, talk: Callable[[Asking], Awaitable[T]]) -> T:
    async with Asking(address, command) as asking:
        return await talk(asking)
