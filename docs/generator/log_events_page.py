"""What the log says: each event as it is declared, with the fields that its calls give it."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from docs.generator.markdown import table
from docs.generator.source import modules
from iii.protocol.log_event import LogEvent, declared
from iii.protocol.log_line import level_name


def log_events() -> list[LogEvent]:
    """All that the package declares, by name."""
    modules()  # declare theirs when they are imported
    return sorted(
        (event for event in declared.values() if event.source.startswith("iii.")), key=lambda event: event.name
    )


def fields_by_event() -> dict[str, list[str]]:
    """Names of the fields, in the order of the calls.

    An event is called by its constant, or given to a function that calls it, perhaps with fields of its own.
    """
    fields: defaultdict[str, list[str]] = defaultdict(list)
    trees = [(module, ast.parse(Path(str(module.__file__)).read_text())) for module in modules()]
    passing_on = {name: added for _, tree in trees for name, added in _passing_on(tree)}
    for module, tree in trees:
        events = {constant: value.name for constant, value in vars(module).items() if isinstance(value, LogEvent)}
        for call in _calls(tree):
            added = [*passing_on.get(ast.unparse(call.func).rpartition(".")[2], []), *_keywords(call)]
            for node in (*ast.walk(call.func), *call.args):
                if isinstance(node, ast.Name) and node.id in events:
                    names = fields[events[node.id]]
                    names += [name for name in added if name not in names]
    return fields


def _passing_on(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Functions that are given an event and call it, or pass it on again, and the fields that they add."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            given = {each.arg for each in node.args.args if getattr(each.annotation, "id", None) == "LogEvent"}
            for call in _calls(node):
                if given & {getattr(each, "id", None) for each in (call.func, *call.args)}:
                    yield node.name, _keywords(call)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _keywords(call: ast.Call) -> list[str]:
    return [each.arg for each in call.keywords if each.arg is not None]


def log_events_page() -> str:
    """A section a part of the product, one row an event."""
    fields, parts = fields_by_event(), defaultdict[str, list[tuple[str, ...]]](list)
    for event in log_events():
        shown = ", ".join(f"`{name}`" for name in fields[event.name])
        row = (
            f"`{event.name}`",
            level_name(event.level),
            event.sentence,
            shown,
            event.means,
            event.do,
            f"`{event.source}`",
        )
        parts[event.name.partition(".")[0]].append(row)
    head = ("Event", "Level", "Sentence", "Fields", "What it means", "What to do", "Source")
    return (
        "# Log events\n\n"
        "An event has a name that does not change and a sentence that is the same on every line; values are fields.\n"
        "A line of the default format begins with it; in the JSON format the name is `event`, the sentence `fields.message`.\n"
        "The source is the Python module that logs the event, `target` in the JSON format; `level` of `iii-observability` can "
        "name it, as in `info,iii.engine=debug`.\n"
        "Events whose names begin with `sdk` are logged by workers, as `iii.sdk`. A field in the sentence stands in braces.\n"
        "Of one event at most 20 warnings and errors, or 200 other lines, are written in 10 s; `suppressed` counts the rest.\n\n"
        + "\n".join(f"## {part}\n\n{table(head, rows)}" for part, rows in parts.items())
    )
