"""Every code that a caller can see: of the classes below InvocationError, and of the ErrorCodes beside them."""

import inspect
import re
from collections import defaultdict
from typing import NamedTuple

from docs.generator.markdown import first_paragraph, table
from docs.generator.source import modules
from iii.modules.http.failure import UNAVAILABLE
from iii.protocol.errors import ErrorCode, InvocationError

_HELP = re.compile(r"^Do: (?P<do>.+)\nRetry: (?P<retry>no|later|if it may run twice)\.$", re.MULTILINE)
_SECTIONS = {
    "iii.modules.http": "HTTP responses",
    "iii.modules.http_functions": "Functions called by URL",
    "iii.modules.state": "State",
    "iii.modules.stream": "Streams",
    "iii.modules.pubsub": "Queues and topics",
    "iii.modules.queue": "Queues and topics",
}
_CALLS = "Calls and registrations"


class Row(NamedTuple):
    """One code, as it is declared."""

    section: str
    code: str
    kind: str
    means: str
    do: str
    retry: str
    status: int | None


def error_rows() -> list[Row]:
    """Of all declarations, in the order of the files. Raises ValueError for a class that says not enough."""
    rows: dict[tuple[str, bool], Row] = {}
    for module in modules():
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, InvocationError) and value.__module__ == module.__name__:
                row = _row_of_class(value)
            elif isinstance(value, ErrorCode):
                section = _section(module.__name__)
                row = Row(section, value.code, "", value.means, value.do, value.retry, value.status)
            else:
                continue
            known = rows.setdefault((row.code, row.status is None), row)
            if known[1:] != row[1:]:
                raise ValueError(f"the code {row.code} is declared twice")
    return list(rows.values())


def _row_of_class(kind: type[InvocationError]) -> Row:
    text = inspect.cleandoc(kind.__doc__ or "")
    found = _HELP.search(text)
    if found is None:
        raise ValueError(
            f"{kind.__name__}: its docstring needs the lines `Do: ….` and `Retry: no|later|if it may run twice.`"
        )
    do = found["do"][:1].upper() + found["do"][1:]
    status = 503 if kind.code in UNAVAILABLE else None
    return Row(_section(kind.__module__), kind.code, kind.__name__, first_paragraph(text), do, found["retry"], status)


def _section(module: str) -> str:
    return _SECTIONS.get(".".join(module.split(".")[:3]), _CALLS)


def errors_page() -> str:
    """A section a part of the product."""
    parts: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in error_rows():
        code = f"`{row.code}`" + (f"<br>`{row.kind}`" if row.kind else "")
        status = "" if row.status is None else str(row.status)
        parts[row.section].append((code, row.means, row.do, row.retry, status))
    head = ("Code", "Meaning", "What to do", "Retry", "HTTP")
    return (
        "# Errors\n\n"
        "A failed call is answered with `{code, message}`.\n"
        "Codes are promised; texts explain, and may change.\n"
        "A handler that raises `InvocationError(code, message)` gives its caller that code, which may be one of its own.\n\n"
        "In Python every error is an `InvocationError`; where a class is named below the code, it is of that class.\n\n"
        "**Retry** says whether the same call may succeed: *no*, since nothing about it will change; *later*; or *if it may run "
        "twice*, since the call may have been done already.\n\n"
        "**HTTP** is the status of the response where a route answers with that code; of all other codes it is 500.\n"
        "`function_not_found` is a 503 while the worker of the route is away.\n\n"
        "Results of updates (`state::update`, `stream::update`) list skipped operations in `errors`, with codes such as "
        "`increment.not_number` or `set.path.too_deep`; the message of each says what is wrong.\n\n"
        + "\n".join(f"## {part}\n\n{table(head, rows)}" for part, rows in sorted(parts.items()))
    )
