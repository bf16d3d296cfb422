"""Errors, limits and close codes, as `protocol/` defines them."""

import re
from pathlib import Path

from docs.generator.markdown import first_paragraph, table
from iii.protocol import close_codes, errors, limits

_LIMIT = re.compile(
    r"(?P<name>[A-Z_0-9]+) = .*?#\s*(?P<why>.*?)(?: ?\((?P<rules>(?:\d\d §|[A-Z]\d)[^)]*)\)(?P<more>.*))?$"
)


def errors_page() -> str:
    """One row a class, in the order of the file."""
    rows = [
        (f"`{kind.code}`", f"`{kind.__name__}`", first_paragraph(kind.__doc__))
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.InvocationError)
    ]
    return (
        "# Errors\n\n"
        "A failed call is answered with `{code, message}`. Codes are promised, texts explain. In Python each code has one class, all of\n"
        "them below `InvocationError`; any other code, such as one of a handler's own, arrives as `InvocationError` with that code.\n\n"
        + table(("Code", "Class", "Meaning"), rows)
    )


def limits_page() -> str:
    """The sections of the file: name, value, the comment behind it, and the rules that it names."""
    text = "# Limits and waits\n\nNumbers that bound a message, a queue or a wait. Rules are those of the [specification](../spec/README.md).\n"
    rows: list[tuple[str, str, str, str]] = []
    for line in [*Path(limits.__file__).read_text().splitlines(), "# end"]:
        if line.startswith("# "):
            if rows:
                text += table(("Name", "Value", "What it bounds", "Rule"), rows)
            rows = []
            text += f"\n## {line[2:]}\n\n" if line != "# end" else ""
        elif found := _LIMIT.match(line):
            value = _with_unit(found["name"], getattr(limits, found["name"]))
            rows.append((f"`{found['name']}`", value, found["why"] + (found["more"] or ""), found["rules"] or ""))
    return text


def _with_unit(name: str, value: object) -> str:
    """The value in the unit that the name ends with."""
    match name.rsplit("_", 1)[-1], value:
        case "BYTES", int(size) if size % 2**20 == 0:
            return f"{size // 2**20} MiB"
        case "S", float(seconds):
            return f"{seconds:g} s"
        case "MS", int(milliseconds):
            return f"{milliseconds} ms"
    return str(value)


def close_codes_page() -> str:
    """Number and name."""
    rows = [(str(code.value), f"`{code.name}`") for code in close_codes.CloseCode]
    return "# Close codes\n\nWith which the engine closes a WebSocket.\n\n" + table(("Code", "Name"), rows)
