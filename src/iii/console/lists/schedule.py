"""Schedules in words, and when they are due (04 §12)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from iii.protocol.cron_expression import Expression, InvalidExpression

NEXT = 5


class Schedule(Struct):
    """Of a trigger of type `cron`, as far as it is looked at here."""

    expression: str = ""
    timezone: str | None = None


class ShownSchedule(Struct, kw_only=True):
    """What a row of a schedule has beside the others; `next` are Unix milliseconds."""

    expression: str
    text: str
    timezone: str | None
    next: list[int]


def schedule_of(config: Schedule) -> Expression | None:
    """None: it is not a cron expression, or its time zone is unknown."""
    try:
        return Expression(config.expression, ZoneInfo(config.timezone or "UTC"), "documented")
    except (InvalidExpression, KeyError, ValueError, OSError):
        return None


def upcoming_ms(expression: Expression, after: datetime, most: int) -> Iterator[int]:
    """Unix milliseconds."""
    return (int(each.timestamp() * 1000) for each in expression.upcoming(after, most))


def shown_schedule(config: Schedule) -> ShownSchedule:
    expression = schedule_of(config)
    following = [] if expression is None else list(upcoming_ms(expression, datetime.now(UTC), NEXT))
    text = "not a cron expression" if expression is None else in_words(config.expression)
    zone = f" ({config.timezone})" if config.timezone not in (None, "UTC") else ""
    return ShownSchedule(expression=config.expression, text=f"{text}{zone}", timezone=config.timezone, next=following)


_SHORTHANDS = {
    "@yearly": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip


@lru_cache(maxsize=1024)
def in_words(expression: str) -> str:
    """As people say it; one that the library cannot read stays as it is."""
    # Loaded for the first schedule only; the library has no types
    from cron_descriptor import ExpressionDescriptor, Options  # type: ignore[import-untyped]

    options = Options()
    options.use_24hour_time_format = True
    options.day_of_week_start_index_zero = True
    text = _SHORTHANDS.get(expression.strip(), expression)
    try:
        return str(ExpressionDescriptor(text, options).get_full_description())
    except Exception:  # it is for texts that are right, and fails in many ways on others
        return expression
