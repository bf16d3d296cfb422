"""What a test of a worker is told when something goes wrong; each names the function and shows its traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iii.protocol.errors import InvocationError

_SHOWN = 5  # failures whose tracebacks are shown


class TriggerFailed(Exception):
    """Functions failed that something triggered, so that no caller hears of it: a subscriber, a cron job, a change of state.

    Attributes:
        errors: one for each call that failed.
    """

    def __init__(self, errors: Sequence[InvocationError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{each.function_id} failed: {each}" for each in self.errors[:_SHOWN]))
        for error in self.errors[:_SHOWN]:
            add_traceback(self, error.function_id, error.stacktrace)


class JobFailed(Exception):
    """Jobs failed for good: their attempts are used up, and they are dead letters now.

    Attributes:
        dead: the dead letters, as `engine::queue::dlq_messages` gives them.
    """

    def __init__(self, dead: Sequence[dict[str, Any]]) -> None:
        self.dead = list(dead)
        super().__init__("; ".join(map(_dead_letter, self.dead[:_SHOWN])))
        for letter in self.dead[:_SHOWN]:
            add_traceback(self, letter.get("function_id"), letter.get("stacktrace"))


class Unfinished(AssertionError):
    """Something did not come to an end within the deadline of the test engine (`TestEngine(deadline_s=…)`)."""


def add_traceback(error: BaseException, function_id: str | None, stacktrace: str | None) -> None:
    """Show what was raised in a handler below an error that is raised in the test."""
    if stacktrace:
        error.add_note(f"\nIn the handler of {function_id}:\n{stacktrace.rstrip()}")


def _dead_letter(letter: dict[str, Any]) -> str:
    function = letter.get("function_id") or "a job"
    return f"{function} failed {letter.get('retries')} times, at last with {letter.get('error')}"
