"""`iii metrics`: what an engine counts, and what workers measure (issue 15; 16 §3)."""

from typing import Any

from iii.cli.address import ENVIRONMENT, add_address_options, address_of
from iii.cli.output import json_text, print_table
from iii.cli.parser import Parser
from iii.protocol.names import LIST_METRICS

PROGRAM = "iii metrics"
_DESCRIPTION = """\
Shows how many calls there were since the engine's start, by function, and the latest metrics of workers.

columns:
  FUNCTION   function called
  CALLS      calls since the engine's start
  METRIC     metric that workers sent within the last hour
  TYPE       gauge, counter, updowncounter or histogram
  VALUE      of its latest point; of a histogram how many values it has, and their mean
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

    found = asked(address, "metrics", LIST_METRICS, {}).result
    if options.json:
        print(json_text(_having(options.search, found)))
    else:
        _print(_having(options.search, found))
    return 0


def _having(text: str | None, found: dict[str, Any]) -> dict[str, Any]:
    """What has the text in its name, whatever its case."""
    if text:
        calls = found["engine_metrics"]["invocations"]
        calls["by_function"] = {
            key: count for key, count in calls["by_function"].items() if text.lower() in key.lower()
        }
        found["sdk_metrics"] = [each for each in found["sdk_metrics"] if text.lower() in each["name"].lower()]
    return found


def _print(found: dict[str, Any]) -> None:
    calls, workers = found["engine_metrics"]["invocations"], found["engine_metrics"]["workers"]
    print(f"{calls['total']} calls: {calls['success']} succeeded, {calls['error']} failed")
    print(f"{workers['active']} workers: {workers['spawns']} connected, {workers['deaths']} left")
    if calls["by_function"]:
        print()
        ordered = sorted(calls["by_function"].items(), key=lambda row: (-row[1], row[0]))
        print_table(["FUNCTION", "CALLS"], [[name, str(count)] for name, count in ordered])
    latest = {(each["name"], each["service_name"]): each for each in found["sdk_metrics"]}
    if latest:
        print()
        rows = [[name, each["metric_type"], _value(each), service] for (name, service), each in sorted(latest.items())]
        print_table(["METRIC", "TYPE", "VALUE", "SERVICE"], rows)


def _value(metric: dict[str, Any]) -> str:
    if not metric["data_points"]:
        return "-"
    point = metric["data_points"][-1]
    if metric["metric_type"] == "histogram":
        mean = point["sum"] / point["count"] if point["count"] else 0
        return f"{point['count']} values, mean {mean:.6g} {metric['unit']}".rstrip()
    return f"{point['value']:.10g} {metric['unit']}".rstrip()
