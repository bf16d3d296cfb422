"""From a file, the environment and the command line to what the engine starts with (07 §4.4, C1–C6)."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from iii.modules.configuration.config import ConfigurationConfig
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.environment import completed
from iii.modules.observability.metrics.webhooks import unsendable
from iii.protocol import log_level
from iii.protocol.limits import NAMESPACE_GRACE_MS
from iii.protocol.log_sources import unknown_sources
from iii.protocol.start_failure import StartFailure
from iii.protocol.suggestion import did_you_mean, nearest
from iii.server import catalogue, document, log
from iii.server.block import decode_block, home_of
from iii.server.catalogue import CATALOGUE, OBSERVABILITY, WORKER_MANAGER, KnownModule
from iii.server.config_text import DEFAULT_PORT, read_text
from iii.server.document import Document, FilePosition, Form, ListedModule, quoted, shown, suggestion
from iii.server.expansion import expand
from iii.server.mistakes import Mistakes
from iii.server.stored_settings import Stored, StoredValue, on_disk
from iii.server.variables import Variables
from iii.server.written import with_placeholders

IMPLIED = "not listed, always on"


class ModuleEntry(NamedTuple):
    """One module that starts.

    Attributes:
        instance: canonical name, with `#1`, `#2` … for repeats (W11).
        known: its row in the catalogue.
        config: its decoded block, an instance of the module class's `Config`.
        place: where it is listed, for messages.
        form: how it was listed; None if the file does not list it.
        host_from: `--host` or `III_HOST`, if its host is from there.
        block: as the file has it, with placeholders as they are written.
        fallback: what the file says, where a stored value hides it.
        stored_in: the file of that value.
        stored: that value, placeholders filled.
        variables: name and value of those that were filled in.
    """

    instance: str
    known: KnownModule
    config: Struct
    place: FilePosition
    form: Form | None
    host_from: str | None = None
    block: object = None
    fallback: Struct | None = None
    stored_in: str | None = None
    stored: object = None
    variables: tuple[tuple[str, str], ...] = ()


class ServerConfig(NamedTuple):
    """Everything the engine process starts with.

    Attributes:
        source: the file as the user named it, for messages.
        path: absolute; None without a file.
        entries: in start order (L3).
        grace_ms: longest wait for a worker's announcement (N2).
        log_level, log_format: from the block of `iii-observability` (06 §11).
        warnings: what was accepted, but probably not meant.
        variables: whose values must not appear in texts.
    """

    source: str
    path: Path | None
    entries: tuple[ModuleEntry, ...]
    grace_ms: int
    log_level: str
    log_format: str
    warnings: tuple[str, ...]
    variables: Variables = Variables()


def load(
    path: Path,
    *,
    host: str | None = None,
    environment: Mapping[str, str] = os.environ,
    stored: Stored | None = None,
) -> ServerConfig:
    """What the file says, with `host` (or III_HOST) for every listener. Raises StartFailure with all mistakes.

    Args:
        stored: values of modules' entries, which hide blocks of the file; None: those on disk.
    """
    source = str(path)
    text = read_text(path)
    expanded = expand(text, environment, source)
    variables = Variables(expanded.values)
    try:
        mistakes = Mistakes()
        read = with_placeholders(document.parse(expanded.text, source, mistakes), text, environment)
        config = _resolve(read, source, path.absolute(), host, environment, mistakes, stored, expanded.warnings)
    except StartFailure as error:
        raise StartFailure(variables.hidden(str(error))) from None
    everywhere = Variables((*expanded.values, *_filled_in(config.entries)))
    return config._replace(warnings=tuple(map(variables.hidden, config.warnings)), variables=everywhere)


def without_file(
    *, host: str | None = None, environment: Mapping[str, str] = os.environ, stored: Stored | None = None
) -> ServerConfig:
    """What runs with `--use-default-config`: the mandatory modules and the default set (C1)."""
    config = _resolve(Document(), "default configuration", None, host, environment, Mistakes(), stored)
    return config._replace(variables=Variables(_filled_in(config.entries)))


def _filled_in(entries: Iterable[ModuleEntry]) -> Iterator[tuple[str, str]]:
    """Variables of stored values."""
    return (each for entry in entries for each in entry.variables)


def _resolve(
    read: Document,
    source: str,
    path: Path | None,
    host: str | None,
    environment: Mapping[str, str],
    mistakes: Mistakes,
    stored: Stored | None,
    warned: Iterable[str] = (),
) -> ServerConfig:
    warnings = list(warned)
    if path is not None and read.entries is None and read.port is None:  # perhaps a file that lost its content (C1)
        modules = ", ".join(row.name for row in CATALOGUE if row.in_default_set)
        warnings.append(f"{source}: no 'workers:' list; running the default modules in memory: {modules}")
    with mistakes.noted():
        _refuse_both_names(read.entries or (), source)
    listed = _listed(read, source, mistakes)
    entries: list[ModuleEntry] = []
    for instance, (known, entry) in zip(_instances(listed), listed, strict=True):
        with mistakes.noted():
            entries.append(_module_entry(instance, known, entry, environment, warnings))
    if read.port is not None:
        entries = _with_port(entries, read.port, source, warnings)
    values = _stored(entries, environment) if stored is None else stored
    entries = [
        _hidden_by(values[entry.known.name], entry, environment, warnings) if entry.known.name in values else entry
        for entry in entries
    ]
    entries = _with_host(entries, *_host_for_all(host, environment))
    with mistakes.noted():
        _refuse_one_port_twice(entries)
    grace_ms = NAMESPACE_GRACE_MS
    with mistakes.noted():
        grace_ms = _grace_ms(read, environment)
    mistakes.told()
    # stable: listeners after all that workers may ask for, then what needs them, all else as listed
    entries.sort(key=lambda entry: (entry.known.after_listeners, entry.known is WORKER_MANAGER))
    log_entry = next(entry for entry in entries if entry.known is OBSERVABILITY)
    level, log_format = _log_settings(log_entry, warnings)
    return ServerConfig(
        source=source,
        path=path,
        entries=tuple(entries),
        grace_ms=grace_ms,
        log_level=level,
        log_format=log_format,
        warnings=tuple(warnings),
    )


def _refuse_both_names(entries: Iterable[ListedModule], source: str) -> None:
    """The old and the new name of one module in one file (C6); all conflicts at once."""
    names = {entry.name.partition("#")[0] for entry in entries}
    conflicts = [row for row in CATALOGUE if row.alias is not None and {row.name, row.alias} <= names]
    if conflicts:
        lines = (
            f"- '{row.name}' is the deprecated name for '{row.alias}', but both are present. "
            f"Remove '{row.name}' from your configuration."
            for row in conflicts
        )
        raise StartFailure("\n".join(("Duplicate worker configurations:", *lines, f"(in {source})")))


def _listed(read: Document, source: str, mistakes: Mistakes) -> list[tuple[KnownModule, ListedModule]]:
    """Every entry with its row; then the default set if there is no list, and what is mandatory (C1)."""
    listed: list[tuple[KnownModule, ListedModule]] = []
    for entry in read.entries or ():
        with mistakes.noted():
            known = _known(entry)
            first = next((other for row, other in listed if row is known), None)
            if first is not None and {first.name, entry.name} == {known.name, known.alias}:
                continue  # told already
            if first is not None and not known.repeatable:
                raise StartFailure(f"{entry.place}: '{known.name}' is already listed at {first.origin}; keep one")
            listed.append((known, entry))
    present = {known for known, _ in listed}
    for known in CATALOGUE:
        wanted = known.mandatory or (known.in_default_set and read.entries is None)
        if wanted and known not in present:
            place = FilePosition(source, f"{IMPLIED} ({known.name})")
            listed.append((known, ListedModule(IMPLIED, "name", known.name, place=place)))
    return listed


def _known(entry: ListedModule) -> KnownModule:
    known = catalogue.by_name(entry.name) or catalogue.by_class(entry.name)
    place = entry.place.at(entry.form)
    available = f"Available: {', '.join(catalogue.available())}"
    if known is None:
        end = did_you_mean(entry.name, catalogue.available(), otherwise=".")
        raise StartFailure(f"{place}: Unknown worker '{entry.name}'{end} {available}")
    if entry.has_image:
        raise StartFailure(
            f"{entry.place.at('image')}: Worker '{entry.name}' is a built-in worker and cannot have an 'image' field. "
            "Remove 'image' or use a different name."
        )
    return known


def _instances(listed: Iterable[tuple[KnownModule, ListedModule]]) -> list[str]:
    """Names of the instances: the first of a kind is plain, repeats are `#1`, `#2` …, a name with `#` is kept."""
    names: list[str] = []
    for known, entry in listed:
        _, mark, suffix = entry.name.partition("#")
        wanted = f"{known.name}{mark}{suffix}"
        number = 0
        while wanted in names:
            number += 1
            wanted = f"{known.name}#{number}"
        names.append(wanted)
    return names


def _module_entry(
    instance: str, known: KnownModule, entry: ListedModule, environment: Mapping[str, str], warnings: list[str]
) -> ModuleEntry:
    form = None if entry.origin == IMPLIED else entry.form
    declared = known.config_type()
    for key in entry.stray:
        home = home_of(key, declared)
        if home is not None and form == "name":  # it may decide what survives a restart (P3)
            raise StartFailure(
                f"{entry.place.at(key)}: key {quoted(key)} stands beside 'config:'; it belongs under '{home}'"
            )
        # A misspelt `config:` would run the module on its defaults, in memory (P3)
        if form == "name" and key in entry.lost and nearest(key, ("config", "configuration")):
            raise StartFailure(f"{entry.place.at(key)}: unknown key {quoted(key)}, did you mean 'config'?")
        hint = suggestion(key, document.ENTRY_KEYS, "; settings of the module belong under 'config:'")
        warnings.append(f"{entry.place.at(key)}: unknown key {quoted(key)} is ignored{hint}")
    block = entry.block
    if block and entry.from_variable:
        warnings.append(
            f"{entry.place}: one variable holds the whole module, so its settings are shown and stored with their values; "
            "list the module in the file, and write 'config: ${NAME}' or placeholders in it"
        )
    if known is OBSERVABILITY and (block is None or isinstance(block, dict)):

        def warn(key: str | None, problem: str) -> None:
            warnings.append(f"{entry.place.at('config', key)}: {key}: {problem}" if key else problem)

        block = completed(block or {}, environment, warn)
    config = decode_block(block, declared, entry.place, strict=form == "name", warnings=warnings)
    written = entry.block if entry.written is None else entry.written
    return ModuleEntry(instance, known, config, entry.place, form, block=written)


def settings_of(known: KnownModule, value: object, source: str = "", warnings: list[str] | None = None) -> Struct:
    """A value of a module's configuration entry, decoded like a block. Raises StartFailure."""
    place = FilePosition(source, known.name if source else "")
    return decode_block(value, known.config_type(), place, strict=True, warnings=[] if warnings is None else warnings)


def _stored(entries: Iterable[ModuleEntry], environment: Mapping[str, str]) -> Stored:
    for entry in entries:
        if isinstance(entry.config, ConfigurationConfig):
            return on_disk(entry.config, environment)
    return {}  # its block is wrong


def _hidden_by(
    value: StoredValue, entry: ModuleEntry, environment: Mapping[str, str], warnings: list[str]
) -> ModuleEntry:
    """The entry with the value that is set (C7); one that the module cannot have leaves it on its block (P20)."""
    given = value.value
    variables = Variables(value.variables)
    if entry.known is OBSERVABILITY and isinstance(given, dict):
        given = completed(given, environment, lambda key, problem: warnings.append(f"{value.source}: {key}: {problem}"))
    try:
        config = settings_of(entry.known, given, value.source, warnings)
    except StartFailure as error:
        warnings.append(f"{variables.hidden(str(error))}; the settings of the configuration file are used")
        return entry
    if isinstance(given, dict) and "adapter" not in given and hasattr(config, "adapter"):
        config = msgspec.structs.replace(config, adapter=entry.config.adapter)  # type: ignore[attr-defined]
    if entry.block:
        warnings.append(f"{entry.place}: hidden by {value.source}; configuration::delete takes that back")
    return entry._replace(
        config=config, fallback=entry.config, stored_in=value.source, stored=value.value, variables=value.variables
    )


def _log_settings(entry: ModuleEntry, warnings: list[str]) -> tuple[str, str]:
    """Level without the parts that make no sense, and format, of the block of `iii-observability` (06 §11), which is looked at."""
    config: ObservabilityConfig = entry.config  # type: ignore[assignment]
    key, level = ("log_level", config.log_level) if config.log_level else ("level", config.level)
    warnings.extend(
        f"{entry.place.at('config', key)}: {key}: unknown level {shown(part)}, expected one of {', '.join(log_level.LEVELS)}; "
        "it is ignored"
        for part in log_level.parse_level(level)[2]
    )
    warnings.extend(
        f"{entry.place.at('config', key)}: {key}: nothing logs under {source}" for source in unknown_sources(level)
    )
    if config.format.strip().lower() not in log.FORMATS:
        warnings.append(
            f"{entry.place.at('config', 'format')}: format: unknown format {shown(config.format)}, expected one of "
            f"{', '.join(log.FORMATS)}; the default is used"
        )
    warnings.extend(
        f"{entry.place.at('config', 'alerts', index, 'action', 'url')}: alerts[{index}].action.url: {doubt}"
        for index, doubt in unsendable(config.alerts)
    )
    return log_level.level_in_force(level), config.format


def _with_port(entries: list[ModuleEntry], port: int, source: str, warnings: list[str]) -> list[ModuleEntry]:
    """Apply the top-level `port` of the old form (07 §3.2, C1): it is the first listener's, unless that has a name."""
    listeners = [entry for entry in entries if entry.known is WORKER_MANAGER]
    old = next((entry for entry in listeners if entry.form != "name"), None)
    if old is None:
        warnings.append(f"{source}: port: {port} is ignored, since iii-worker-manager is listed; remove one of them")
        return entries
    moved = old._replace(config=msgspec.structs.replace(old.config, port=port or DEFAULT_PORT))
    return [moved if entry is old else entry for entry in entries]


def _host_for_all(host: str | None, environment: Mapping[str, str]) -> tuple[str | None, str]:
    """The host given once for all listeners (L1), and where; a blank one counts as not given."""
    return (host, "--host") if host else (environment.get("III_HOST", "").strip() or None, "III_HOST")


def _with_host(entries: list[ModuleEntry], host: str | None, given_by: str) -> list[ModuleEntry]:
    if host is None:
        return entries
    return [
        entry._replace(config=msgspec.structs.replace(entry.config, host=host), host_from=given_by)
        if entry.known.listens
        else entry
        for entry in entries
    ]


def _refuse_one_port_twice(entries: Iterable[ModuleEntry]) -> None:
    """Raises StartFailure for two listeners at one address: the system would only say that the port is in use."""
    listening: list[ModuleEntry] = []
    for entry in entries:
        if not entry.known.listens:
            continue
        host, port = _address(entry)
        for other in listening:
            if port and port == _address(other)[1] and _overlap(host, _address(other)[0]):
                raise StartFailure(
                    f"{entry.place.at('config', 'port')}: port {port} is already in use by {other.place.at('config', 'port')}; "
                    "set another `port` for one of them"
                )
        listening.append(entry)


def _address(entry: ModuleEntry) -> tuple[str, int]:
    host, port = entry.config.host, entry.config.port  # type: ignore[attr-defined]
    return "127.0.0.1" if host == "localhost" else host, port


def _overlap(host: str, other: str) -> bool:
    """Whether one socket at each cannot be (`::` is for IPv6 alone)."""
    hosts = {host, other}
    return (
        host == other
        or ("0.0.0.0" in hosts and ":" not in host + other)
        or ("::" in hosts and ":" in host and ":" in other)
    )


def _grace_ms(read: Document, environment: Mapping[str, str]) -> int:
    text = environment.get("III_NAMESPACE_GRACE_MS", "").strip()
    if text:
        if not (text.isascii() and text.isdigit()):
            raise StartFailure(
                f"environment variable III_NAMESPACE_GRACE_MS: expected whole milliseconds, got {document.shown(text)}"
            )
        return int(text)
    return NAMESPACE_GRACE_MS if read.grace_ms is None else read.grace_ms
