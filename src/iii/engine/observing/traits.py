"""How a function may be observed, as its registration says (21 §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from iii.engine.json_schema import INVALID_SCHEMA, problems
from iii.engine.observing.codes import INVALID_ARGS_FORMAT, UNSUPPORTED
from iii.engine.observing.quick_schema import is_quick
from iii.protocol.json_text import BAD_JSON
from iii.protocol.message import NULL
from iii.protocol.quoted import shortened

if TYPE_CHECKING:
    from iii.engine.dialect import Dialect
    from iii.protocol.messages import RegisterFunction


class Traits(Struct, frozen=True):
    """Attributes:
    args_format: JSON Schema of what an observer gives along; None: nothing.
    private: only its host may call it.
    observable: whether anybody may observe it.
    owner_delivers: its host alone says which calls are for which observers.
    legacy_trigger_type: triggers of this type are its observers, unless somebody provides the type.
    is_source: it is the engine's, and there to be observed.
    """

    args_format: bytes | None = None
    private: bool = False
    observable: bool = True
    owner_delivers: bool = False
    is_source: bool = False
    legacy_trigger_type: str | None = None


ORDINARY = Traits()


class _Said(Struct):
    """The `observe` object of clients with `observe.v1`."""

    args_format: Raw = NULL
    delivery: str | None = None
    allow: bool | None = None
    legacy_trigger_type: str | None = None


_said = msgspec.json.Decoder(_Said)


def traits_of(message: RegisterFunction, dialect: Dialect, announced: bool) -> Traits:
    """Of a registration; what clients without the features say is not heard.

    Raises:
        InvocationError: the function is not registered.
    """
    extended = [each for each in (message.args_format, message.private, message.observable) if bytes(each) != b"null"]
    if message.observe is NULL and not extended:
        return ORDINARY
    if announced and not dialect.observes:
        return ORDINARY
    if extended and announced and not dialect.says_matches:
        raise UNSUPPORTED(f"function '{message.id}': args_format, private and observable need the feature observe.v2")
    if extended and message.invocation is not None:
        raise UNSUPPORTED(
            f"function '{message.id}': args_format, private and observable are not for functions that are URLs"
        )
    said = _read(message.observe)
    args_format = message.args_format if bytes(message.args_format) != b"null" else said.args_format
    observable = (
        said.allow is not False if bytes(message.observable) == b"null" else bytes(message.observable) != b"false"
    )
    return Traits(
        _schema(message.id, bytes(args_format)),
        bytes(message.private) == b"true",
        observable,
        said.delivery == "owner",
        legacy_trigger_type=said.legacy_trigger_type,
    )


def _read(said: Raw) -> _Said:
    if said is NULL:
        return _Said()
    try:
        return _said.decode(said)
    except BAD_JSON:
        return _Said()


def _schema(function_id: str, schema: bytes) -> bytes | None:
    """Raises InvocationError: it is none."""
    if schema == b"null":
        return None
    why = None
    if schema[:1] != b"{" and schema not in (b"true", b"false"):
        why = "it is neither an object nor true or false"
    elif is_quick(schema, b"{}"):
        why = next((each for each in problems(schema, b"{}") if each.startswith(INVALID_SCHEMA)), None)
    if why is not None:
        raise INVALID_ARGS_FORMAT(f"args_format of '{shortened(function_id)}' is not a JSON Schema: {why}")
    return schema
