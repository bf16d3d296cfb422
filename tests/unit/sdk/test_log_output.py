"""Log lines of a program with and without logging of its own (newcomer d), each in a process of its own."""

import re
import subprocess
import sys

import pytest

from tests.processes import environment, free_port

MOMENT = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4}\]"
FAILS = """
from iii.sdk.answers import FUNCTION_FAILED
from iii.sdk.failures import log_failure
logging.getLogger("iii.sdk").info("hidden")
try:
    {}["k"]
except KeyError as error:
    log_failure(FUNCTION_FAILED, error, function="f\\nforged")
"""
FAILED = r"""Function failed (function="f\nforged", reason="KeyError: 'k'")"""


def errors_of(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", "import logging, iii.sdk.worker\n" + program],
        capture_output=True, text=True, timeout=60, check=True, env=environment(),
    )  # fmt: skip
    return done.stderr.splitlines()


def test_newcomer_d_without_logging_lines_are_like_the_engines() -> None:
    first, *rest = errors_of(FAILS)
    assert re.fullmatch(MOMENT + re.escape(f" [ERROR] iii.sdk {FAILED}"), first)
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    KeyError: 'k'"


@pytest.mark.parametrize(
    "configuration",
    [
        "logging.basicConfig(format='mine %(message)s')",
        "logging.getLogger('iii').addHandler(logging.StreamHandler())\n"
        "logging.getLogger('iii').handlers[-1].setFormatter(logging.Formatter('mine %(message)s'))",
        "logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False, 'formatters': {'f': {'format': "
        "'mine %(message)s'}}, 'handlers': {'h': {'class': 'logging.StreamHandler', 'formatter': 'f'}}, "
        "'root': {'handlers': ['h']}})",
    ],
)
def test_newcomer_d_a_program_with_logging_gets_the_records_and_nothing_else(configuration: str) -> None:
    lines = errors_of(f"import logging.config\n{configuration}\n{FAILS}")
    assert lines[0] == f"mine {FAILED}"
    assert not [line for line in lines if re.match(MOMENT, line)]
    assert sum("KeyError: 'k'" in line for line in lines) == 2  # the message, and the end of the traceback


def test_newcomer_d_a_lost_engine_is_told_with_the_time_until_the_next_attempt() -> None:
    port = free_port()
    lines = errors_of(
        "import iii\n"
        "once = iii.ReconnectionConfig(initial_delay_ms=300, jitter_factor=0, max_retries=1)\n"
        "try:\n"
        f"    iii.register_worker('ws://127.0.0.1:{port}', iii.InitOptions(reconnection_config=once))\n"
        "except ConnectionError: pass\n"
    )
    told = f'(address=ws://127.0.0.1:{port}, reason="connection refused"'
    assert lines[0].endswith(
        f"[WARN] iii.sdk Cannot connect to the engine; is it running at this address? {told}, retry_s=0.3)"
    )
    assert lines[1].endswith(f"[ERROR] iii.sdk Max reconnection retries (1) reached, giving up {told})")
