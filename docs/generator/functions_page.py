"""The functions that the engine itself implements, as its modules declare them."""

import inspect
import typing

import msgspec
from msgspec import Struct

from docs.generator.markdown import first_paragraph, table
from iii.engine.builtin import Declaration
from iii.server.catalogue import CATALOGUE


def functions_page() -> str:
    """One table a module; `?` marks request members that may be left out."""
    text = "# Functions of the engine\n\nCalled like any other, from any worker or with `iii trigger`. Members of the request with `?` may be left out.\n"
    for row in CATALOGUE:
        if row.implementation is None:
            continue
        module = row.load()
        rows = []
        for attribute in dir(module):
            method = getattr(module, attribute)
            declaration = getattr(method, "__builtin__", None)
            if isinstance(declaration, Declaration):
                rows.append((f"`{declaration.function_id}`", _members(method), first_paragraph(inspect.getdoc(method))))
        if rows:
            text += f"\n## {row.name}\n\n" + table(
                ("Function", "Request", "What it does"), sorted(rows, key=lambda cells: cells[0].strip("`"))
            )
    return text


def _members(method: object) -> str:
    assert callable(method)
    request = list(inspect.signature(method).parameters)[1]
    kind = typing.get_type_hints(method)[request]
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        return ""
    return ", ".join(f"`{each.encode_name}`{'' if each.required else '?'}" for each in msgspec.structs.fields(kind))
