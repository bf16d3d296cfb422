"""`iii function list`: what can be called (07 §8.1, 02 §5.2)."""

from iii.cli.listing import Listing, Row, Table, run_listing, with_namespace
from iii.cli.output import served_by
from iii.protocol.names import LIST_FUNCTIONS

_COLUMNS = """\
  FUNCTION      function id, for 'iii trigger'
  WORKER        worker that serves the function; (3 copies): how many serve it together
  DESCRIPTION   description, as registered"""


def run(arguments: list[str]) -> int:
    """`iii function …`"""
    if arguments[:1] == ["call"]:
        from iii.cli import trigger

        return trigger.run(arguments[1:])
    if arguments[:1] == ["info"]:
        from iii.cli import function_info

        return function_info.run(arguments[1:])
    listing = Listing(
        noun="function",
        description="Lists the functions of the connected workers.",
        columns=_COLUMNS,
        all_help="also the engine's own functions",
        function_id=LIST_FUNCTIONS,
        member="functions",
        table=_table,
        empty="No functions of workers; --all adds the engine's own.",
        without_all={"of_workers": True},
        request={"include_replicas": True},
        others={
            "info": ("info ID [options]", "Shows one function: its worker, parameters and triggers."),
            "call": ("call ID [KEY=VALUE …] [options]", "Calls a function: another name of 'iii trigger'."),
        },
    )
    return run_listing(listing, arguments)


def _table(rows: list[Row], _: int) -> Table:
    cells = [
        [
            str(row["function_id"]),
            served_by(row.get("worker_name"), row.get("replicas", 1)),
            str(row.get("description") or ""),
        ]
        for row in rows
    ]
    return with_namespace(rows, Table(["FUNCTION", "WORKER", "DESCRIPTION"], cells))
