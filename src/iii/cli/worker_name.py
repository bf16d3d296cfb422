"""How a command names one worker: by id or name."""

import argparse
import re

from iii.cli.parser import Parser

_is_id = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def add_worker_options(parser: Parser) -> None:
    """`ID|NAME` and `--namespace`."""
    parser.add_argument("worker", metavar="ID|NAME", help="id of the worker, or its name if only one worker has it")
    parser.add_argument("--namespace", metavar="NAME", help="namespace of the worker's name (default: any)")


def worker_named(options: argparse.Namespace) -> dict[str, str | None]:
    """Members of a request that is about the worker."""
    return {"worker_id" if _is_id(options.worker) else "name": options.worker, "namespace": options.namespace}
