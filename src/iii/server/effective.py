"""What modules run with, value by value, and where each comes from (18 §4.2)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from iii.protocol.placeholders import PLACEHOLDER
from iii.protocol.secrets import HIDDEN, is_secret, without_secrets
from iii.server.config_file import ModuleEntry
from iii.storage.adapter import AdapterConfig, Adapters


class EffectiveValue(NamedTuple):
    """One option of one module.

    Attributes:
        key: below `config`, such as `cors.allowed_origins`.
        value: JSON-like.
        origin: `default`, `config.yaml:12`, `--host`, `environment`.
        variables: names of the environment variables that are in the value.
    """

    key: str
    value: Any
    origin: str
    variables: Collection[str] = ()

    @property
    def public(self) -> Any:
        """The value without what may be a secret."""
        # A known option is not a misspelt one; an address may hold a password
        named = self.key.rpartition(".")[2], *self.variables
        if self.value is not None and (any(map(is_secret, named)) or "@" in str(self.value)):
            return HIDDEN
        return without_secrets(self.value)


def effective(entries: Iterable[ModuleEntry]) -> dict[str, list[EffectiveValue]]:
    """By instance, in start order."""
    return {entry.instance: list(_values(entry)) for entry in entries}


def _values(entry: ModuleEntry) -> Iterator[EffectiveValue]:
    defaults = dict(_leaves(_default(entry), ()))
    for path, value in _leaves(msgspec.to_builtins(entry.config), ()):
        origin = entry.place.line_of("config", *path)
        if entry.stored_in is not None:
            origin = entry.stored_in if defaults.get(path) != value else "default"
        if path == ("host",) and entry.host_from is not None:
            origin = entry.host_from
        elif origin is None:
            origin = "default" if defaults.get(path) == value else "environment"
        yield EffectiveValue(".".join(path), value, origin, _variables(entry, path, value))


def _variables(entry: ModuleEntry, path: tuple[str, ...], value: Any) -> set[str]:
    """Names of those in one value."""
    if entry.stored_in is not None:
        return {name for name, filled in entry.variables if filled and filled in str(value)}
    written: object = entry.block
    for step in path:
        if not isinstance(written, dict):
            break
        written = written.get(step)
    return {found[1] for found in PLACEHOLDER.finditer(str(written))}


def _default(entry: ModuleEntry) -> dict[str, Any]:
    """With those of its adapter."""
    whole: dict[str, Any] = msgspec.to_builtins(type(entry.config)())
    adapters: Adapters | None = getattr(entry.config, "adapters", None)
    if adapters is not None:
        chosen: AdapterConfig = getattr(entry.config, "adapter", None) or AdapterConfig()
        block = msgspec.to_builtins(adapters.blocks[chosen.kind(adapters)]())
        whole["adapter"] = {**(whole["adapter"] or {}), "config": block}
    return whole


def _leaves(value: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Mappings are entered, lists are values."""
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, (*path, str(key)))
        else:
            yield (*path, str(key)), item
