"""Refusals are told where they were written (newcomer M9)."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from iii.sdk.worker import Worker

worker: Any = Worker.__new__(Worker)  # it refuses before it looks at itself


@pytest.mark.parametrize(
    ("decorate", "said"),
    [
        (lambda: worker.http("GTE", "/a"), "unsupported HTTP method 'GTE' (did you mean 'GET'?)"),
        (lambda: worker.http("TRACE", "/a"), "unsupported HTTP method 'TRACE'"),
        (
            lambda: worker.cron("99 * * * *"),
            "invalid cron expression '99 * * * *': minute 99 is out of range: expected 0 to 59",
        ),
        (lambda: worker.cron("* * *"), "invalid cron expression '* * *': 3 fields"),
        (lambda: worker.cron("* * * * foo"), "'foo' is not a valid day of week"),
        (lambda: worker.cron("@daily", timezone="Mars/X"), "unknown time zone 'Mars/X'"),
        (lambda: worker.cron("@daily", timezone="/etc/passwd"), "unknown time zone '/etc/passwd'"),
        (lambda: worker.cron("@daily", timeout_ms=0), "timeout_ms must be at least 1, got 0"),
        (lambda: worker.on_queue("t", concurrency=-1), "concurrency must be at least 0, got -1"),
        (lambda: worker.on_queue("t", max_retries=-1), "max_retries must be at least 0"),
        (lambda: worker.on_queue("t", backoff_ms=-1), "backoff_ms must be at least 0"),
        (lambda: worker.on_queue("t", timeout_ms=0), "timeout_ms must be at least 1"),
        (lambda: worker.on_queue("t", backoff_jitter=1.5), "backoff_jitter must be from 0 to 1, got 1.5"),
    ],
)
def test_newcomer_M9_a_decorator_raises_what_the_engine_would_refuse(decorate: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        decorate()


def test_newcomer_M9_what_the_engine_takes_is_not_refused() -> None:
    worker.http("get", "/a")
    worker.cron("0 0 9 * * mon-fri 2026", timezone="Europe/Berlin", timeout_ms=1)
    worker.cron("0 9 * * 7")
    worker.on_queue("t", concurrency=0, max_retries=0, backoff_ms=0, backoff_jitter=0, timeout_ms=1)
    with pytest.raises(TypeError, match="concurrency must be int, got str"):
        worker.on_queue("t", concurrency="3")
