"""What the log says: each event as it is declared, with the fields that its calls give it."""

import ast
import importlib
import pkgutil
from collections import defaultdict
from pathlib import Path

import iii
from docs.generator.markdown import table
from iii.protocol.log_event import LogEvent, declared
from iii.protocol.log_line import level_name

SOURCE = Path(iii.__file__).parent


def log_events() -> list[LogEvent]:
    """All that the package declares, by name."""
    for module in pkgutil.walk_packages([str(SOURCE)], "iii."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(
        (event for event in declared.values() if event.source.startswith("iii.")), key=lambda event: event.name
    )


def fields_by_event() -> dict[str, list[str]]:
    """Names of the fields, in the order of the calls: an event is called where it is declared, by its constant."""
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        events: dict[str, str] = {}
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Assign([ast.Name(constant)], ast.Call(ast.Name("LogEvent"), [_, ast.Constant(str(name)), *_])):
                    events[constant] = name
                case ast.Call(ast.Name(constant), _, keywords) if constant in events:
                    names = fields[events[constant]]
                    names += [each.arg for each in keywords if each.arg is not None and each.arg not in names]
    return fields


def log_events_page() -> str:
    """A section a part of the product, one row an event."""
    fields, parts = fields_by_event(), defaultdict[str, list[tuple[str, ...]]](list)
    for event in log_events():
        shown = ", ".join(f"`{name}`" for name in fields[event.name])
        row = (f"`{event.name}`", level_name(event.level), event.sentence, shown, event.means, event.do)
        parts[event.name.partition(".")[0]].append(row)
    head = ("Event", "Level", "Sentence", "Fields", "What it means", "What to do")
    return (
        "# Log events\n\n"
        "An event has a name that does not change and a sentence that is the same on every line; values are fields.\n"
        "In the JSON format the name is `event`, the sentence `fields.message`.\n"
        "Of one event at most 20 warnings and errors, or 200 other lines, are written in 10 s; `suppressed` counts the rest.\n\n"
        + "\n".join(f"## {part}\n\n{table(head, rows)}" for part, rows in parts.items())
    )
