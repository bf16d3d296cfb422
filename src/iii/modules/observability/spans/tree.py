"""One trace as trees of spans, without what only wraps (06 §7.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from iii.modules.observability.config import CollapseRule
from iii.modules.observability.spans.row import Row
from iii.modules.observability.steps import Steps

_WRAPPERS = frozenset(("state_triggers", "stream_triggers", "configuration_triggers"))
_ROWS = 4  # encoded in one step
_LOOKED_AT = 50

_encode = msgspec.json.Encoder().encode


class Collapse:
    """Which spans disappear: `*` is any run, `?` one character, the rest literal (06 §7.4)."""

    def __init__(self, rules: Sequence[CollapseRule]) -> None:
        self._rules = [
            (_pattern(rule.name), None if rule.service is None else _pattern(rule.service)) for rule in rules
        ]

    def __call__(self, row: Row) -> bool:
        return any(
            name.fullmatch(row.common.name) and (service is None or service.fullmatch(row.common.service_name))
            for name, service in self._rules
        )


def tree(rows: Sequence[Row], collapse: Collapse) -> Steps[bytes]:
    """The roots as JSON, each with its children. Of any depth: nothing here calls itself."""
    kept = yield from without_wrappers({row.span_id: row for row in rows})
    parents = yield from shown_parents(kept, collapse)
    children = dict[str, list[Row]]()
    roots = list[Row]()
    for span_id, parent in parents.items():
        if parent in parents:
            children.setdefault(parent, []).append(kept[span_id])
        else:
            roots.append(kept[span_id])
        if len(roots) % _LOOKED_AT == 0:
            yield
    roots += yield from _roots_of_cycles(kept, parents, children, roots)
    return (yield from _encoded(roots, parents, children))


def without_wrappers(rows: dict[str, Row]) -> Steps[dict[str, Row]]:
    """Trigger spans that nothing came of are left out, and what held only such."""
    held = dict[str, int]()
    for row in rows.values():
        if row.parent_span_id in rows and row.parent_span_id != row.span_id:
            held[row.parent_span_id] = held.get(row.parent_span_id, 0) + 1
    yield
    idle = [row for row in rows.values() if row.common.name in _WRAPPERS and not held.get(row.span_id)]
    while idle:
        row = idle.pop()
        del rows[row.span_id]
        parent = rows.get(row.parent_span_id or "")
        if parent is not None:
            held[parent.span_id] -= 1
            if parent.common.name in _WRAPPERS and not held[parent.span_id]:
                idle.append(parent)
    return rows


def shown_parents(rows: dict[str, Row], collapse: Collapse) -> Steps[dict[str, str | None]]:
    """The nearest parent that is shown, by span that is shown."""
    hidden = dict[str, str | None]()  # where the children of a hidden span go
    for at, row in enumerate(rows.values()):
        if collapse(row):
            hidden[row.span_id] = row.parent_span_id
        if at % _LOOKED_AT == 0:
            yield
    parents = dict[str, str | None]()
    for at, (span_id, row) in enumerate(rows.items()):
        if span_id not in hidden:
            parents[span_id] = _shown(row.parent_span_id, hidden)
        if at % _LOOKED_AT == 0:
            yield
    return parents


def _shown(parent: str | None, hidden: dict[str, str | None]) -> str | None:
    """Follow hidden spans upwards; the way is remembered, so that a long one is gone once."""
    way = dict[str, None]()
    while parent is not None and parent in hidden and parent not in way:
        way[parent] = None
        parent = hidden[parent]
    if parent in way:  # hidden spans that are each other's parents
        parent = None
    for passed in way:
        hidden[passed] = parent
    return parent


def _roots_of_cycles(
    rows: dict[str, Row], parents: dict[str, str | None], children: dict[str, list[Row]], roots: list[Row]
) -> Steps[list[Row]]:
    """The earliest span of each circle of parents; it is taken from its own."""
    reached = set[str]()
    found = list[Row]()

    def reach(row: Row) -> Steps[None]:
        todo = [row]
        while todo:
            row = todo.pop()
            if row.span_id not in reached:
                reached.add(row.span_id)
                todo += children.get(row.span_id, ())
                yield

    for root in roots:
        yield from reach(root)
    for span_id in parents:
        if span_id in reached:
            continue
        way = dict[str, None]()
        at: str | None = span_id
        while at is not None and at not in way:
            way[at] = None
            at = parents[at]
            yield
        assert at is not None
        circle = list(way)[list(way).index(at) :]
        root = min((rows[each] for each in circle), key=_start)
        children[parents[root.span_id] or ""].remove(root)
        found.append(root)
        yield from reach(root)
    return found


def _encoded(roots: list[Row], parents: dict[str, str | None], children: dict[str, list[Row]]) -> Steps[bytes]:
    pieces = [b"["]
    todo: list[Row | bytes] = [b"]"]
    _push(todo, roots)
    encoded = 0
    while todo:
        each = todo.pop()
        if isinstance(each, bytes):
            pieces.append(each)
            continue
        span = each.span()
        span.parent_span_id = parents[each.span_id]
        pieces += (_encode(span)[:-1], b',"children":[')
        todo.append(b"]}")
        _push(todo, children.get(each.span_id, []))
        encoded += 1
        if encoded % _ROWS == 0:
            yield
    return b"".join(pieces)


def _push(todo: list[Row | bytes], rows: list[Row]) -> None:
    """In the order of their start, with commas."""
    for at, row in enumerate(sorted(rows, key=_start, reverse=True)):
        if at:
            todo.append(b",")
        todo.append(row)


def _start(row: Row) -> tuple[int, str]:
    return row.start, row.span_id


def _pattern(text: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each) or re.escape(each) for each in text), re.DOTALL)
