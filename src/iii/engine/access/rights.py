"""What one session may do: from the result of an auth function, a token, or the defaults of its listener (20 §1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from iii.engine.access.filters import FunctionFilter
from iii.engine.access.pattern import NO_PATTERNS, Patterns, unwrapped

NO_CONTEXT = b"{}"


class Rights(Struct, frozen=True, kw_only=True):
    """Fixed for the life of a connection, unless the rules of its listener change (20 §10).

    Attributes:
        who: for the log: the name of a token, or how the session was let in.
        identity: sessions with the same one share functions and names; others keep theirs (20 §5).
        exposed: functions that it may call beside those which its listener exposes.
        allowed, forbidden: ids that it may call in `default`, and ids that it may call nowhere.
        namespaces: ids that it may call, by namespace; it may declare these namespaces and no others, unless empty.
        seen: functions that lists show it beside those which it may call.
        trigger_types: of which it may register triggers; None: of any.
        provides: whether it may register trigger types.
        registers: ids that it may register; None: any.
        calls_urls: whether it may register functions that are URLs, which the engine calls.
        context: JSON, for hooks and middleware.
        prefix: put before the ids of its functions.
        by_auth_function: whether they are what an auth function returned.
        roles: names of roles that `exposed` is from, for people.
    """

    who: str = "anonymous"
    identity: str = ""
    exposed: tuple[FunctionFilter, ...] = ()
    allowed: Patterns = NO_PATTERNS
    forbidden: Patterns = NO_PATTERNS
    namespaces: Mapping[str, Patterns] = MappingProxyType({})
    seen: tuple[FunctionFilter, ...] = ()
    trigger_types: frozenset[str] | None = None
    provides: bool = True
    registers: Patterns | None = None
    calls_urls: bool = False
    context: bytes = NO_CONTEXT
    prefix: str | None = None
    by_auth_function: bool = False
    roles: tuple[str, ...] = ()

    def may_declare(self, namespace: str) -> bool:
        """Whether its functions and trigger types may be in a namespace."""
        return not self.namespaces or namespace in self.namespaces


class BadAuthResult(ValueError):
    """An auth function returned something that is not a result; the text says why."""


class _AuthResult(Struct, kw_only=True):
    """null is the same as absent."""

    allowed_functions: list[str] | None = None
    forbidden_functions: list[str] | None = None
    namespaces: dict[str, list[str]] | None = None
    allowed_trigger_types: list[str] | None = None
    allow_trigger_type_registration: bool | None = None
    allow_function_registration: bool | None = None
    allow_http_functions: bool | None = None
    context: Raw | UnsetType = UNSET  # `Raw | None` would refuse objects
    function_registration_prefix: str | None = None


_decode = msgspec.json.Decoder(_AuthResult).decode


def read_auth_result(result: bytes, listener: str) -> Rights:
    """Raises BadAuthResult."""
    try:
        found = _decode(result)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadAuthResult(f"auth function returned an unusable result: {error}") from None
    prefix = found.function_registration_prefix
    if prefix is not None and not prefix.replace(":", "").strip():
        raise BadAuthResult("auth function returned a blank `function_registration_prefix`")
    context = b"null" if found.context is UNSET else bytes(found.context)
    context = NO_CONTEXT if context == b"null" else context
    types = found.allowed_trigger_types
    return Rights(
        who="auth function",
        by_auth_function=True,
        identity="\0".join((listener, "auth", prefix or "", context.decode())),
        allowed=_patterns(found.allowed_functions),
        forbidden=_patterns(found.forbidden_functions),
        namespaces={name: _patterns(ids) for name, ids in (found.namespaces or {}).items()},
        trigger_types=None if types is None else frozenset(types),
        provides=bool(found.allow_trigger_type_registration),
        registers=NO_PATTERNS if found.allow_function_registration is False else None,
        calls_urls=bool(found.allow_http_functions),
        context=context,
        prefix=prefix,
    )


def _patterns(ids: list[str] | None) -> Patterns:
    """Bare or as `match("…")`."""
    return Patterns(pattern if (pattern := unwrapped(text)) is not None else text for text in ids or ())
