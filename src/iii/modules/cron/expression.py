"""Cron expressions: what they say, and when that is next (04 §12.3, C13).

Daylight saving time: a time that the clocks skip is made up as much later; of a time that they repeat the first one
counts. Schedules of every hour follow the real hours instead: nothing is made up, both of a repeated hour count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

DayOfWeek = Literal["documented", "quartz"]

LAST_YEAR = 2100
_BLOCK = timedelta(minutes=15)  # clocks change at its borders only
_CHANGE = timedelta(hours=2)  # the most they skip
_CHARACTERS = 1000  # of an expression
_SHORTHANDS = {
    "@yearly": "0 0 0 1 1 * *",
    "@monthly": "0 0 0 1 * * *",
    "@weekly": "0 0 0 * * sun *",
    "@daily": "0 0 0 * * * *",
    "@hourly": "0 0 * * * * *",
}
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
_DAY_NAMES = {
    **{name: number for number, name in enumerate(_DAYS)},
    **{name[:3]: number for number, name in enumerate(_DAYS)},
    "tues": 2,
    "thurs": 4,
}
_MONTH_NAMES = {
    **{name: number for number, name in enumerate(_MONTHS, 1)},
    **{name[:3]: number for number, name in enumerate(_MONTHS, 1)},
}
_ITEM = re.compile(
    r"(?P<first>\*|\?|[0-9]{1,4}|[a-z]+)(?:-(?P<last>[0-9]{1,4}|[a-z]+))?(?:/(?P<step>[0-9]{1,4}))?", re.IGNORECASE
)


class InvalidExpression(Exception):
    """The text says why, in a few words."""


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: dict[str, int]


_FIELDS = (
    _Field("second", 0, 59, {}),
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, _MONTH_NAMES),
    _Field("day of week", 0, 6, _DAY_NAMES),
    _Field("year", 1970, LAST_YEAR, {}),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = _FIELDS[3], _FIELDS[5]


class Expression:
    """A parsed one, in a time zone."""

    def __init__(self, text: str, zone: ZoneInfo, day_of_week: DayOfWeek = "documented") -> None:
        """Raises InvalidExpression."""
        self._zone = zone
        if len(text) > _CHARACTERS:
            raise InvalidExpression(f"{len(text)} characters; there may be {_CHARACTERS}")
        if text.strip().startswith("@") and text.strip() not in _SHORTHANDS:
            raise InvalidExpression(f"there are {', '.join(_SHORTHANDS)}")
        parts = _SHORTHANDS.get(text.strip(), text).split()
        classic = len(parts) == 5
        if classic:
            parts = ["0", *parts]
        if len(parts) == 6:
            parts.append("*")
        if len(parts) != 7:
            raise InvalidExpression(f"{len(text.split())} fields; there are 5, 6 (with seconds) or 7 (with years)")
        sets = [_values(part, field, day_of_week) for part, field in zip(parts, _FIELDS, strict=True)]
        self._seconds = sorted(sets[0])
        self._minutes, self._hours, self._days, self._months, self._weekdays, self._years = map(frozenset, sets[1:])
        self._every_hour = len(self._hours) == 24
        open_day, open_weekday = (parts[index][0] in "*?" for index in (3, 5))
        self._either_day = classic and not open_day and not open_weekday

    def after(self, moment: datetime) -> datetime | None:
        """The first time strictly later, in UTC; None if there is none until 2100."""
        start = (moment + timedelta(seconds=1)).replace(microsecond=0)
        block = start.replace(minute=start.minute // 15 * 15, second=0)
        while block.year <= LAST_YEAR:
            local = block.astimezone(self._zone)
            day = self._next_day(local.date() - timedelta(days=1))
            if day is None:
                return None
            if day > local.date() + timedelta(days=2):  # nothing for a while; in UTC it may still be the day before
                block = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
            for found in self._in_block(block):
                if found >= start:
                    return found
            block += _BLOCK
        return None

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """The next times."""
        times: list[datetime] = []
        while len(times) < count and (found := self.after(times[-1] if times else moment)) is not None:
            times.append(found)
        return times

    def _in_block(self, block: datetime) -> Iterator[datetime]:
        local = block.astimezone(self._zone).replace(tzinfo=None)
        repeated = bool(block.astimezone(self._zone).fold)
        starts = [] if repeated and not self._every_hour else [local]
        if not self._every_hour:
            before = (block - _CHANGE).astimezone(self._zone).utcoffset()
            skipped = block.replace(tzinfo=None) + (before or timedelta())
            if skipped != local and not self._exists(skipped):
                starts.append(skipped)
        for minute in range(15):
            shown = [each + timedelta(minutes=minute) for each in starts]
            if any(self._has_minute(each) for each in shown):
                for second in self._seconds:
                    yield block + timedelta(minutes=minute, seconds=second)

    def _exists(self, naive: datetime) -> bool:
        there = naive.replace(tzinfo=self._zone).astimezone(UTC).astimezone(self._zone)
        return there.replace(tzinfo=None) == naive

    def _has_minute(self, local: datetime) -> bool:
        return local.minute in self._minutes and local.hour in self._hours and self._has_day(local.date())

    def _has_day(self, day: date) -> bool:
        if day.month not in self._months or day.year not in self._years:
            return False
        in_month, in_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
        return in_month or in_week if self._either_day else in_month and in_week

    def _next_day(self, day: date) -> date | None:
        """That day, or the first later one that matches."""
        while day.year <= LAST_YEAR:
            if day.year not in self._years or day.month not in self._months:
                day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            elif self._has_day(day):
                return day
            else:
                day += timedelta(days=1)
        return None


def _values(text: str, field: _Field, day_of_week: DayOfWeek) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        found |= _item(item, field, day_of_week)
    return found


def _item(item: str, field: _Field, day_of_week: DayOfWeek) -> set[int]:
    matched = _ITEM.fullmatch(item)
    if matched is None:
        raise InvalidExpression(f"'{item}' is no {field.name}")
    first, last, step_text = matched["first"], matched["last"], matched["step"]
    if first == "?" and field not in (_DAY_OF_MONTH, _DAY_OF_WEEK):
        raise InvalidExpression(f"'?' is for days only, not for the {field.name}")
    if first in "*?":
        if last is not None:
            raise InvalidExpression(f"'{item}' is no {field.name}")
        numbers = list(range(field.least, field.most + 1))
    else:
        begin = _number(first, field, day_of_week)
        if last is not None:
            end = _number(last, field, day_of_week)
            if end < begin:
                raise InvalidExpression(f"'{item}' runs backwards")
        elif step_text is None:
            return {begin % 7 if field is _DAY_OF_WEEK else begin}
        elif first.isalpha():
            raise InvalidExpression(f"'{item}': a step needs a range")
        else:
            end = max(begin, field.most)
        numbers = [number % 7 if field is _DAY_OF_WEEK else number for number in range(begin, end + 1)]
    step = 1 if step_text is None else int(step_text)
    if not 1 <= step <= max(field.most, 7 if field is _DAY_OF_WEEK else 0):
        raise InvalidExpression(f"step {step_text} of the {field.name}")
    return set(numbers[::step])


def _number(text: str, field: _Field, day_of_week: DayOfWeek) -> int:
    """Days of the week count from Sunday, 0, whatever the numbering; a Sunday that is written as 7 is 7."""
    if text.isalpha():
        number = field.names.get(text.lower())
        if number is None:
            raise InvalidExpression(f"'{text}' is no {field.name}")
        return number
    number = int(text)
    if field is _DAY_OF_WEEK:
        if day_of_week == "quartz":
            if not 1 <= number <= 7:
                raise InvalidExpression(f"day of week {number}: there are 1 (Sunday) to 7")
            return number - 1
        if not 0 <= number <= 7:
            raise InvalidExpression(f"day of week {number}: there are 0 (Sunday) to 7 (Sunday too)")
        return number
    if not field.least <= number <= field.most:
        raise InvalidExpression(f"{field.name} {number}: there are {field.least} to {field.most}")
    return number
