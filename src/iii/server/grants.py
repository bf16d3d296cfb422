"""From what the configuration grants a token or a certificate to the rights of a session (20 §2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from iii.engine.access.filters import BadFilter, FunctionFilter, read_filter
from iii.engine.access.pattern import NO_PATTERNS, Patterns, unwrapped
from iii.engine.access.rights import Rights
from iii.engine.access.roles import EVERYTHING, ROLES, WORKERS_TRIGGER_TYPES, Role
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.protocol.start_failure import StartFailure
from iii.protocol.suggestion import did_you_mean
from iii.server.access_config import Filter, GrantConfig

Kind: TypeAlias = Literal["token", "certificate"]


def rights_of(config: GrantConfig, listener: str, kind: Kind = "token", key: tuple[str | int, ...] = ()) -> Rights:
    """What a token or a certificate lets do. Raises StartFailure.

    Args:
        kind: of what lets in; names are unique among those of one kind.
    """
    roles = [ROLES[each] for each in config.allow if isinstance(each, str) and each in ROLES]
    namespaces = config.namespaces or (DEFAULT_NAMESPACE,)
    for index, name in enumerate(config.namespaces):
        if not name.strip():
            raise StartFailure(f"{kind} '{config.name}': a namespace is blank", (*key, "namespaces", index))
    exposed = tuple(_filters(config, kind, "allow", config.allow, namespaces, key))
    seen = tuple(_filters(config, kind, "see", config.see, namespaces, key))
    registers = _registers(config, kind, roles, key)
    any_namespace = not config.namespaces and any(role.provides for role in roles)
    types: frozenset[str] | None = WORKERS_TRIGGER_TYPES if registers != NO_PATTERNS else frozenset()
    if config.trigger_types is not None:
        types = frozenset(config.trigger_types)
    elif any(role.provides for role in roles):
        types = None
    return Rights(
        who=config.name,
        identity=f"{listener}\0{kind}\0{config.name}",
        exposed=exposed,
        seen=(*seen, *((EVERYTHING,) if any(role.sees_all for role in roles) else ())),
        namespaces={} if any_namespace else dict.fromkeys(namespaces, NO_PATTERNS),
        trigger_types=types,
        provides=any(role.provides for role in roles),
        registers=registers,
        calls_urls=any(role.calls_urls for role in roles),
        prefix=config.prefix,
        roles=tuple(each for each in config.allow if isinstance(each, str) and each in ROLES),
    )


def _registers(config: GrantConfig, kind: Kind, roles: Iterable[Role], key: tuple[str | int, ...]) -> Patterns | None:
    if config.register is None:
        return None if any(role.registers for role in roles) else NO_PATTERNS
    if isinstance(config.register, bool):
        return None if config.register else NO_PATTERNS
    patterns = [unwrapped(text) for text in config.register]
    for index, pattern in enumerate(patterns):
        if pattern is None:
            raise StartFailure(
                f"{kind} '{config.name}': register: expected match(\"pattern\"), got: {config.register[index]}",
                (*key, "register", index),
            )
    return Patterns(pattern for pattern in patterns if pattern is not None)


def _filters(
    config: GrantConfig,
    kind: Kind,
    member: str,
    entries: Sequence[Filter],
    namespaces: Sequence[str],
    key: tuple[str | int, ...],
) -> Iterable[FunctionFilter]:
    for index, entry in enumerate(entries):
        if isinstance(entry, str) and entry in ROLES:
            for each in ROLES[entry].filters:
                yield from _in(each, namespaces if config.namespaces else None)
            continue
        try:
            found = read_filter(entry)
        except BadFilter as error:
            known = did_you_mean(entry, ROLES, ", or did you mean '{}'?") if isinstance(entry, str) else ""
            raise StartFailure(f"{kind} '{config.name}': {member}: {error}{known}", (*key, member, index)) from None
        named = isinstance(entry, dict) and entry.get("namespace") is not None
        yield from (found,) if named else _in(found, namespaces)


def _in(found: FunctionFilter, namespaces: Sequence[str] | None) -> Iterable[FunctionFilter]:
    """In each namespace; None: as it is."""
    if namespaces is None:
        return (found,)
    return tuple(FunctionFilter(found.pattern, found.metadata, name) for name in namespaces)
