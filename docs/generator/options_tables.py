"""Tables of the options of the configuration file, out of the Structs that it is decoded into.

A page shows one in a block that names it, and `make docs` fills the block:

    <!-- options HttpConfig -->
    <!-- end -->

`<!-- modules -->` is the table of all modules, `<!-- adapters -->` that of the backends.
"""

import re
import types
import typing
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import yaml
from msgspec import NODEFAULT, Meta, Struct

from docs.generator.markdown import table
from iii.protocol.limits import MIB
from iii.protocol.without_effect import remark_of
from iii.server.catalogue import CATALOGUE
from iii.storage.adapter import Adapters

BLOCK = re.compile(r"^<!-- (?P<kind>options|modules|adapters)(?: (?P<struct>\w+))? -->\n.*?^<!-- end -->$", re.M | re.S)
MODULES = list(CATALOGUE)
_TECHNICAL = 2**31 - 1  # an upper bound from here on is the width of a number, not a choice
_WORDS = {bool: "boolean", int: "integer", float: "number", str: "text", dict: "mapping", Any: "anything"}


def shown_tables(page: str) -> str:
    """The page with its blocks as the source has them now."""
    return BLOCK.sub(lambda block: "\n".join((block[0].splitlines()[0], "", _table(block), "<!-- end -->")), page)


def missing_tables(page: str) -> Iterator[str]:
    """Each Struct of options that the page shows no table of, and each option without a text."""
    shown = {block["struct"] for block in BLOCK.finditer(page)}
    for name, struct in structs().items():
        fields = msgspec.structs.fields(struct)
        if fields and name not in shown:
            yield f"no table of {name}: write `<!-- options {name} -->` and `<!-- end -->` on lines of their own"
        for field in fields:
            if not _meaning(field.type):
                yield f"{name}.{field.name} has no description: give its type a `Meta(description=…)`"


def structs() -> dict[str, type[Struct]]:
    """All that blocks of the configuration file are decoded into, by name: of modules, of what is in them, of adapters."""
    found: dict[str, type[Struct]] = {}
    for row in MODULES:
        _collect(row.config_type(), found)
        for block in _adapters(row.config_type()).blocks.values():
            _collect(block, found)
    return found


def _collect(declared: Any, found: dict[str, type[Struct]]) -> None:
    for part in typing.get_args(declared):
        _collect(part, found)
    if isinstance(declared, type) and issubclass(declared, Struct):
        if found.setdefault(declared.__name__, declared) is not declared:
            raise ValueError(f"two Structs of options are called {declared.__name__}; rename one")
        for field in msgspec.structs.fields(declared):
            _collect(field.type, found)


def _adapters(declared: type[Struct]) -> Adapters:
    adapters: Adapters = getattr(declared, "adapters", Adapters({}, {}))
    return adapters


def _table(block: re.Match[str]) -> str:
    tables: dict[str, Callable[[], str]] = {"modules": _modules, "adapters": _backends}
    build = tables.get(block["kind"])
    return _options(structs()[block["struct"]]) if build is None else build()


def _options(struct: type[Struct]) -> str:
    """One row an option; those without effect at the end, one row a reason."""
    rows: list[tuple[str, ...]] = []
    unread: defaultdict[str, list[str]] = defaultdict(list)
    for field in msgspec.structs.fields(struct):
        key = f"`{field.encode_name}`"
        if remark_of(field.type):
            unread[_meaning(field.type)].append(key)
        else:
            rows.append((key, _kind(field.type), _default(field, struct), _meaning(field.type)))
    rows += [(", ".join(keys), "", "", meaning) for meaning, keys in unread.items()]
    return table(("Key", "Type", "Default", "Meaning"), rows)


def _modules() -> str:
    rows = []
    for row in MODULES:
        names = " or ".join(f"`{name}`" for name in (row.name, row.alias) if name is not None)
        runs = "always" if row.mandatory else "without a list of modules" if row.in_default_set else ""
        listed = "several entries are several listeners" if row.repeatable else "" if row.mandatory else "where listed"
        classes = ", ".join(f"`{name}`" for name in row.classes)
        rows.append((names, "; ".join(filter(None, (runs, listed))), classes))
    return table(("Module", "Runs", "Old class"), rows)


def _backends() -> str:
    rows = []
    for row in MODULES:
        adapters = _adapters(row.config_type())
        for kind in adapters.blocks:
            others = ", ".join(f"`{name}`" for name, meant in adapters.kinds.items() if meant == kind and name != kind)
            unread = "; ".join(f"`{key}`: {remark}" for key, remark in adapters.unread.get(kind, {}).items())
            rows.append((row.name, f"`{kind}`" + (" (default)" if kind == adapters.default else ""), others, unread))
    return table(("Module", "Adapter", "Other names", "Options of the module without effect"), rows)


def _metas(declared: Any) -> list[Meta]:
    return [each for each in getattr(declared, "__metadata__", ()) if isinstance(each, Meta)]


def _meaning(declared: Any) -> str:
    return next((" ".join(meta.description.split()) for meta in _metas(declared) if meta.description), "")


def _kind(declared: Any) -> str:
    """A type in a few words, with its bounds; whether the option may be absent, its default says."""
    bare = declared.__origin__ if _metas(declared) else declared
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        bounded = [each for each in typing.get_args(bare) if each is not type(None)]
        return " or ".join(map(_kind, bounded)) + _bounds(declared)
    if typing.get_origin(bare) is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(bare))
    origin = typing.get_origin(bare) or bare
    if isinstance(origin, type) and issubclass(origin, (tuple, list)):
        return f"list of {_kind(typing.get_args(bare)[0])}s"
    if isinstance(origin, type) and issubclass(origin, Struct):
        return "mapping"
    return _WORDS[origin] + _bounds(declared)


def _bounds(declared: Any) -> str:
    low = next((meta.ge for meta in _metas(declared) if meta.ge is not None), None)
    high = next((meta.le for meta in _metas(declared) if meta.le is not None and meta.le < _TECHNICAL), None)
    if low is None:
        return ""
    return f", at least {low}" if high is None else f", {low} to {high}"


def _default(field: msgspec.structs.FieldInfo, struct: type[Struct]) -> str:
    """As one writes it in the file; nothing for an option that is absent, or a mapping of options with their own."""
    if field.name == "adapter":
        return f"`{{name: {_adapters(struct).default}}}`"
    value = field.default if field.default_factory is NODEFAULT else field.default_factory()
    if value is NODEFAULT:
        return "required"
    if value is None or isinstance(value, Struct):
        return ""
    written = yaml.safe_dump(msgspec.to_builtins(value), default_flow_style=True, width=10_000).partition("\n")[0]
    return f"`{written}`" + (f" ({value // MIB} MiB)" if isinstance(value, int) and value and value % MIB == 0 else "")
