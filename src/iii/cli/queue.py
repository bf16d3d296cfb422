"""`iii queue …`: what waits, what failed for good, and trying it again (issue 6; 04 §8, §9)."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from iii.cli.address import ENVIRONMENT, Address, add_address_options, add_watch_option, address_of
from iii.cli.parser import USAGE_ERROR, Parser, fail

if TYPE_CHECKING:
    from iii.cli.asking import Asking

PROGRAM = "iii queue"
_DESCRIPTION = """\
Shows named queues and durable topics; lists, retries and removes dead letters: jobs whose last attempt failed.

  list                   all queues and topics: unfinished jobs, running, delayed, and dead letters; WAITS FOR names
                         functions that no worker serves, after 10 s
  job ID                 where one job stands: state, attempts, times, last error, trace
  stats NAME             figures and settings of a queue or topic, as JSON
  dlq                    queues and topics that have dead letters
  dlq NAME               its dead letters, newest first
  redrive NAME           retry all its dead letters
  redrive NAME ID        retry one dead letter
  discard NAME ID        remove one dead letter
  cancel NAME ID         remove a job of it, or stop it if it is being handled
  pause NAME             begin no more of its jobs, over restarts too; those that run go on
  resume NAME            begin its jobs again
  purge NAME             remove its jobs that have not begun; asks first, or takes --yes
  unsubscribe TOPIC FUNCTION   remove the subscription of a function whose worker will not reconnect"""
_EXAMPLES = f"""\
examples:
  {PROGRAM} list
  {PROGRAM} dlq emails --limit 5
  {PROGRAM} redrive emails

{ENVIRONMENT}

exit codes: 0 done, 1 unknown queue, topic, job or dead letter, or the call failed, 2 wrong usage"""
_MOST = 1_000_000_000
_LIMIT = 50
_USAGE = {
    "list": "", "job": "ID", "stats": "NAME", "dlq": "[NAME]", "redrive": "NAME [ID]", "discard": "NAME ID", "cancel": "NAME ID", "pause": "NAME",
    "resume": "NAME", "purge": "NAME",     "unsubscribe": "TOPIC FUNCTION",
}  # fmt: skip
_NUMBERS = ("depth", "in_flight", "delayed", "dlq_depth", "delivered", "failed", "paused")


def build_parser() -> Parser:
    """All options and arguments of the command."""
    usage = f"{PROGRAM} list|job|stats|dlq|redrive|discard|cancel|pause|resume|purge|unsubscribe [NAME [ID]] [options]"
    parser = Parser(PROGRAM, _DESCRIPTION, usage, _EXAMPLES)
    parser.add_argument("words", nargs="*", help="subcommand and its arguments")
    parser.add_argument(
        "--namespace",
        default="default",
        metavar="NAME",
        help="unsubscribe: namespace of the function (default: default)",
    )
    parser.add_argument(
        "--limit", type=int, default=_LIMIT, metavar="N", help=f"dlq: show at most N dead letters (default: {_LIMIT})"
    )
    parser.add_argument("--offset", type=int, default=0, metavar="N", help="dlq: skip the N newest (default: 0)")
    parser.add_argument("--yes", action="store_true", help="purge: do not ask")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_watch_option(parser)
    add_address_options(parser)
    return parser


def run(arguments: list[str]) -> int:
    """`iii queue …`"""
    parser = build_parser()
    options = parser.parse(arguments)
    for name in ("limit", "offset"):
        if not 0 <= getattr(options, name) <= _MOST:
            parser.error(f"--{name}: expected a whole number from 0 to {_MOST}, got {getattr(options, name)}")
    address = address_of(options, parser)

    from iii.cli.engine_call import in_words
    from iii.protocol.errors import InvocationError

    try:
        match options.words:
            case ["list"]:
                from iii.cli.watched import shown

                lines = partial(_queues, as_json=options.json)
                return shown(address, "queue", lines, watch=options.watch, module="iii-queue")
            case ["job", job_id]:
                return _job(address, job_id, options.json)
            case ["stats", name]:
                return _stats(address, name)
            case ["dlq"]:
                return _dead_topics(address, options.json)
            case ["dlq", name]:
                return _dead_letters(address, name, options.offset, options.limit, options.json)
            case ["redrive", name]:
                return _redrive(address, name, options.json)
            case ["redrive" | "discard" as verb, name, message_id]:
                return _one(address, verb, name, message_id, options.json)
            case ["cancel", name, job_id]:
                return _cancel(address, name, job_id, options.json)
            case ["pause" | "resume" as verb, name]:
                return _pause(address, verb, name, options.json)
            case ["purge", name]:
                return _purge(address, name, options, parser)
            case ["unsubscribe", topic, function_id]:
                return _unsubscribe(address, topic, function_id, options.namespace)
            case []:
                parser.print_help()
                return USAGE_ERROR
            case words:
                parser.refuse_words(words, _USAGE)
    except InvocationError as error:
        return fail(in_words(error, "iii-queue"))


def _ask(address: Address, function_id: str, payload: dict[str, Any]) -> Any:
    from iii.cli.engine_call import ask

    return ask(address, "queue", function_id, payload).result


def _known(address: Address, name: str) -> None:
    """A misspelt name must not look as if all were well. Raises CommandFailed."""
    from iii.cli.known import QUEUES, known
    from iii.cli.parser import CommandFailed, suggestion

    names = known(address, "queue", QUEUES)
    if name.removeprefix("__fn_queue::") in names:
        return
    hint = suggestion(name, names) or f"; '{PROGRAM} list' shows all"
    raise CommandFailed(f"unknown queue or topic '{name}'{hint}")


async def _queues(ask: Asking, *, as_json: bool) -> list[str]:
    from iii.cli.output import json_text, table_lines

    rows = [
        {"name": topic["name"], "kind": "queue" if topic["broker_type"] == "function_queue" else "topic",
         "consumers": topic["subscriber_count"]}
        for topic in await ask("engine::queue::list_topics", {})
    ]  # fmt: skip
    for name in sorted({row["name"] for row in rows}):
        stats = await ask("engine::queue::topic_stats", {"topic": name})
        for row in rows:
            if row["name"] == name:
                row.update((number, stats.get(number, 0)) for number in _NUMBERS)
                row["waiting_for"] = stats.get("waiting_for") or []
    if as_json:
        return [json_text(rows, sort_keys=False)]
    shown = {"NAME": "name", "KIND": "kind", "CONSUMERS": "consumers", "JOBS": "depth", "RUNNING": "in_flight",
             "DELAYED": "delayed", "DEAD": "dlq_depth"}  # fmt: skip
    table = [[str(row[key]) for key in shown.values()] for row in rows]
    seldom = {
        "PAUSED": ["yes" if row.get("paused") else "" for row in rows],
        "WAITS FOR": [", ".join(row["waiting_for"]) for row in rows],
    }
    told = {name: cells for name, cells in seldom.items() if any(cells)}
    return table_lines([*shown, *told], [[*cells, *more] for cells, *more in zip(table, *told.values(), strict=True)])


def _stats(address: Address, name: str) -> int:
    from iii.cli.output import json_text

    stats = _ask(address, "engine::queue::topic_stats", {"topic": name})
    if not stats["depth"] and not stats["dlq_depth"]:  # it may be a topic that nobody has subscribed to
        _known(address, name)
    print(json_text(stats, sort_keys=False))
    return 0


def _job(address: Address, job_id: str, as_json: bool) -> int:
    from iii.cli.output import json_text
    from iii.protocol.names import without_control_characters

    job = _ask(address, "engine::queue::job", {"id": job_id})
    if as_json:
        print(json_text(job, sort_keys=False))
        return 0
    for name, value in job.items():
        if value is not None:
            shown = _time(value // 1000) + " UTC" if name.endswith("_at") else str(value)
            print(f"{name.removesuffix('_at').replace('_', ' ') + ':':<14} {without_control_characters(shown)}")
    return 0


def _dead_topics(address: Address, as_json: bool) -> int:
    from iii.cli.output import json_text, print_table

    rows = [row for row in _ask(address, "engine::queue::dlq_topics", {}) if row["message_count"]]
    if as_json:
        print(json_text(rows))
    elif rows:
        print_table(["NAME", "DEAD"], [[row["topic"], str(row["message_count"])] for row in rows])
    else:
        print("No dead letters.")
    return 0


def _dead_letters(address: Address, name: str, offset: int, limit: int, as_json: bool) -> int:
    from iii.cli.output import json_text, print_table

    letters = _ask(address, "engine::queue::dlq_messages", {"topic": name, "offset": offset, "limit": limit})
    if as_json:
        print(json_text(letters, sort_keys=False))
    elif letters:
        print_table(
            ["ID", "FAILED (UTC)", "FUNCTION", "ATTEMPTS", "ERROR", "PAYLOAD"],
            [
                [
                    letter["id"],
                    _time(letter["failed_at"]),
                    letter.get("function_id") or "-",
                    str(letter["retries"]),
                    letter["error"],
                    json.dumps(letter["payload"], ensure_ascii=False),
                ]
                for letter in letters
            ],
        )
    else:
        _known(address, name)
        print(f"No dead letters in '{name}'.")
    return 0


def _time(seconds: int) -> str:
    """Brokers do not always know."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S") if seconds else "-"
    except (OverflowError, OSError, ValueError):
        return "-"


def _redrive(address: Address, name: str, as_json: bool) -> int:
    from iii.cli.output import json_text

    answer = _ask(address, "iii::queue::redrive", {"queue": name})
    count = answer["redriven"]
    if not count:
        _known(address, name)
    print(
        json_text(answer) if as_json else f"{count} dead letter{'' if count == 1 else 's'} of '{name}' will be retried."
    )
    return 0


def _one(address: Address, verb: str, name: str, message_id: str, as_json: bool) -> int:
    from iii.cli.output import json_text

    answer = _ask(address, f"iii::queue::{verb}_message", {"queue": name, "message_id": message_id})
    if not answer["redriven"]:
        _known(address, name)
        return fail(f"unknown dead letter '{message_id}' of '{name}'")
    if as_json:
        print(json_text(answer))
    else:
        print(f"Dead letter '{message_id}' of '{name}' {'will be retried' if verb == 'redrive' else 'was removed'}.")
    return 0


def _cancel(address: Address, name: str, job_id: str, as_json: bool) -> int:
    from iii.cli.output import json_text

    answer = _ask(address, "engine::queue::cancel", {"queue": name, "id": job_id})
    if not answer["cancelled"]:
        return fail(f"job '{job_id}' of '{name}' has ended already; see: {PROGRAM} job {job_id}")
    print(json_text(answer) if as_json else f"Job '{job_id}' of '{name}' is cancelled.")
    return 0


def _pause(address: Address, verb: str, name: str, as_json: bool) -> int:
    from iii.cli.output import json_text

    answer = _ask(address, f"engine::queue::{verb}", {"queue": name})
    if as_json:
        print(json_text(answer, sort_keys=False))
        return 0
    before = "" if answer["changed"] else " already"
    running = answer["in_flight"]
    more = f"; {running} job{'' if running == 1 else 's'} still running" if verb == "pause" and running else ""
    print(f"'{name}' is {'paused' if verb == 'pause' else 'running'}{before}{more}.")
    return 0


def _purge(address: Address, name: str, options: Any, parser: Parser) -> int:
    from iii.cli.output import json_text

    if not options.yes:
        from iii.cli.question import is_meant, needs_terminal

        needs_terminal(f"purge removes jobs for good: add --yes to remove those of '{name}'", parser)
        stats = _ask(address, "engine::queue::topic_stats", {"topic": name})
        count = max(stats["depth"] - stats["in_flight"], 0)
        if not count:
            _known(address, name)
        if not is_meant(f"Remove {count} job{'' if count == 1 else 's'} of '{name}' for good?"):
            print("Nothing removed.", file=sys.stderr)
            return 1
    answer = _ask(address, "engine::queue::purge", {"queue": name})
    purged = answer["purged"]
    print(json_text(answer) if options.json else f"{purged} job{'' if purged == 1 else 's'} of '{name}' removed.")
    return 0


def _unsubscribe(address: Address, topic: str, function_id: str, namespace: str) -> int:
    payload = {"topic": topic, "function_id": function_id, "namespace": namespace}
    if not _ask(address, "iii::queue::unsubscribe", payload)["unsubscribed"]:
        _known(address, topic)
        return fail(f"'{function_id}' has no subscription to '{topic}' that a worker left behind")
    print(f"'{function_id}' is unsubscribed from '{topic}'; messages already queued for it are kept.")
    return 0
