"""`iii metrics`: what an engine counts, and what workers measure (issue 15; 16 §3)."""

from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.output import counted, figure, json_text, one_text, print_table
from iii.cli.parser import Parser
from iii.protocol.names import LIST_METRICS

PROGRAM = "iii metrics"
_DESCRIPTION = """\
Shows how many calls there were since the engine's start, by function, and the latest metrics of workers.

columns:
  FUNCTION   function called
  CALLS      calls since the engine's start
  ERRORS     those of them that failed
  METRIC     metric that workers sent within the last hour
  TYPE       gauge, counter, updowncounter, histogram or summary
  VALUE      of its latest point; of histograms and summaries how many values, and their mean
  SERVICE    service of the worker that sent it"""


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
        if options.search and not (found["engine_metrics"]["invocations"]["by_function"] or found["sdk_metrics"]):
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


def _print(found: dict[str, Any]) -> None:
    calls, workers = found["engine_metrics"]["invocations"], found["engine_metrics"]["workers"]
    others = max(workers["active"] - 1, 0)  # beside this command
    print(f"{counted(calls['total'], 'call')}: {calls['success']} succeeded, {calls['error']} failed")
    print(f"{counted(others, 'worker')} now; since the engine's start {workers['spawns']} connected, commands included")
    if calls["by_function"]:
        print()
        failed = {each["function_id"]: each["error"] for each in found["functions"]}
        ordered = sorted(calls["by_function"].items(), key=lambda row: (-row[1], row[0]))
        rows = [[name, str(count), str(failed.get(name) or "")] for name, count in ordered]
        print_table(["FUNCTION", "CALLS", "ERRORS"], rows)
    latest = {(each["name"], each["service_name"]): each for each in found["sdk_metrics"]}
    if latest:
        print()
        rows = [[name, each["metric_type"], _value(each), service] for (name, service), each in sorted(latest.items())]
        print_table(["METRIC", "TYPE", "VALUE", "SERVICE"], rows)


def _value(metric: dict[str, Any]) -> str:
    if not metric["data_points"]:
        return "-"
    point = metric["data_points"][-1]
    if metric["metric_type"] in ("histogram", "summary"):
        mean = point["sum"] / point["count"] if point["count"] else 0
        return f"{point['count']} values, mean {figure(mean)} {metric['unit']}".rstrip()
    return f"{figure(point['value'])} {metric['unit']}".rstrip()
