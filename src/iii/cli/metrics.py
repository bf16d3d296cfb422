"""`iii metrics`: what an engine counts, and what workers measure (issue 15; 16 §3)."""

from collections import Counter
from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.metric_rows import HEAD, metric_rows
from iii.cli.output import counted, json_text, one_text, print_table
from iii.cli.parser import Parser
from iii.protocol.names import LIST_METRICS

PROGRAM = "iii metrics"
_DESCRIPTION = """\
Shows how many calls there were since the engine's start, by function, and the latest metrics of workers.

columns:
  FUNCTION   function called
  CALLS      calls since the engine's start
  ERRORS     those of them that failed, also because no worker served the function
  METRIC     metric that workers sent within the last hour
  TYPE       gauge, counter, updowncounter, histogram or summary
  VALUE      of its latest point; of histograms and summaries how many values, and their mean
  SERVICE    service of the worker that sent it
  SERIES     of several series or copies of a worker, what tells this one from the others; its age if that is above 5 minutes"""


def build_parser() -> Parser:
    """All options of the command."""
    examples = f"examples:\n  {PROGRAM}\n  {PROGRAM} --search orders --json"
    parser = Parser(PROGRAM, _DESCRIPTION, f"{PROGRAM} [options]", f"{examples}\n\n{ENVIRONMENT}")
    parser.add_argument("--search", metavar="TEXT", help="only functions and metrics whose name contains TEXT")
    parser.add_argument("--json", action="store_true", help="print what `engine::metrics::list` answers")
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii metrics …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    address = address_of(options, parser)

    from iii.cli.engine_call import asked

    found = asked(address, "metrics", LIST_METRICS, {"include_functions": True}).result
    if options.json:
        print(json_text(_having(options.search, found)))
    else:
        _print(_having(options.search, found))
        if options.search and not any((_rows(found), found["sdk_metrics"])):
            print(f"\nNo functions or metrics have '{one_text(options.search)}' in their names.")
    return 0


def _having(text: str | None, found: dict[str, Any]) -> dict[str, Any]:
    """What has the text in its name, whatever its case."""
    if text:
        calls = found["engine_metrics"]["invocations"]
        calls["by_function"] = {
            key: count for key, count in calls["by_function"].items() if text.lower() in key.lower()
        }
        found["functions"] = [each for each in found["functions"] if text.lower() in each["function_id"].lower()]
        found["sdk_metrics"] = [each for each in found["sdk_metrics"] if text.lower() in each["name"].lower()]
    return found


def _rows(found: dict[str, Any]) -> list[list[str]]:
    """Of functions, the most called first."""
    calls = Counter(found["engine_metrics"]["invocations"]["by_function"])
    errors = Counter[str]()
    for each in found["functions"]:
        refused = each.get("not_found", 0)  # of an engine before these were told by function: 0
        calls[each["function_id"]] += refused
        errors[each["function_id"]] += each["error"] + refused
    ordered = sorted(calls.items(), key=lambda row: (-row[1], row[0]))
    return [[name, str(count), str(errors[name] or "")] for name, count in ordered if count]


def _print(found: dict[str, Any]) -> None:
    calls, workers = found["engine_metrics"]["invocations"], found["engine_metrics"]["workers"]
    others = max(workers["active"] - 1, 0)  # beside this command
    print(f"{counted(calls['total'], 'call')}: {calls['success']} succeeded, {calls['error']} failed")
    print(f"{counted(others, 'worker')} now; since the engine's start {workers['spawns']} connected, commands included")
    if rows := _rows(found):
        print()
        print_table(["FUNCTION", "CALLS", "ERRORS"], rows)
    if rows := metric_rows(found["sdk_metrics"], found["timestamp"] * 1_000_000):
        print()
        columns = len(HEAD) if any(row[-1] for row in rows) else len(HEAD) - 1
        print_table(HEAD[:columns], [row[:columns] for row in rows])
