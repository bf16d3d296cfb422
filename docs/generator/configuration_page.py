"""The options of every module, as its `Config` declares them."""

from typing import Any

import msgspec
from msgspec import inspect as declared

from docs.generator.markdown import first_paragraph, table
from iii.server.catalogue import CATALOGUE, KnownModule

_INTRODUCTION = """\
# Configuration

`iii` reads `config.yaml` of the current directory, or the file of `-c`, and creates one where none is. A
[how-to guide](../how-to/configure.md) tells how such a file is written. A module stands in it under its name; files of the 0.9 and 0.10 era
name its class and still work. What is mandatory runs whether or not it is listed. Options without a meaning here are accepted because published
files have them; if they have no effect, a start says so.
"""

_NAMES: dict[type[declared.Type], str] = {
    declared.BoolType: "true or false",
    declared.NoneType: "nothing",
    declared.AnyType: "anything",
}


def configuration_page() -> str:
    """One section a module that this version provides."""
    return _INTRODUCTION + "".join(f"\n{_section(row)}" for row in CATALOGUE if row.implementation is not None)


def _section(row: KnownModule) -> str:
    module = row.load()
    facts = [module.description]
    facts += ["Mandatory."] if row.mandatory else []
    facts += [f"Also called `{row.alias}`."] if row.alias else []
    facts += [f"Class in old files: {', '.join(f'`{name}`' for name in row.classes)}."] if row.classes else []
    return f"## {row.name}\n\n{' '.join(facts)}\n\n{_options(row.config_type())}"


def _options(config: type[msgspec.Struct]) -> str:
    struct = declared.type_info(config)
    assert isinstance(struct, declared.StructType)
    rows = [
        (f"`{field.encode_name}`", _kind(field.type), _default(field), _meaning(field.type)) for field in struct.fields
    ]
    return table(("Option", "Value", "Default", "Meaning"), rows) if rows else "No options.\n"


def _default(field: declared.Field) -> str:
    default: Any = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if default is msgspec.NODEFAULT:
        return "must be given"
    return "" if default is None else f"`{msgspec.json.encode(default).decode()}`"


def _meaning(kind: declared.Type) -> str:
    if isinstance(kind, declared.Metadata):
        return first_paragraph((kind.extra_json_schema or {}).get("description")) or _meaning(kind.type)
    if isinstance(kind, declared.UnionType):
        return next(filter(None, map(_meaning, kind.types)), "")
    return ""


def _kind(kind: declared.Type) -> str:
    match kind:
        case declared.Metadata():
            return _kind(kind.type)
        case declared.UnionType():
            return " or ".join(_kind(each) for each in kind.types if not isinstance(each, declared.NoneType))
        case declared.IntType() | declared.FloatType():
            bounds = [f"≥ {kind.ge}"] if kind.ge is not None else []
            bounds += [f"≤ {kind.le}"] if kind.le is not None else []
            number = "whole number" if isinstance(kind, declared.IntType) else "number"
            return " ".join([number, ", ".join(bounds)]).strip()
        case declared.LiteralType():
            return " or ".join(f"`{value}`" for value in kind.values)
        case declared.ListType() | declared.VarTupleType():
            return f"list of {_kind(kind.item_type)}"
        case declared.DictType() | declared.StructType():
            return "mapping"
    return _NAMES.get(type(kind), "text")
