"""Cron expressions: what they say, and when that is next (04 §12.3, C13).

Daylight saving time: a time that the clocks skip is made up as much later; of a time that they repeat the first one
counts. Schedules of every hour follow the real hours instead: nothing is made up, both of a repeated hour count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from iii.protocol.late_pattern import late_pattern

DayOfWeek = Literal["documented", "quartz"]

LAST_YEAR = 2100
_DAY = timedelta(days=1)
_CHANGE = timedelta(hours=3)  # more than clocks skip or repeat, as long as no country changes its date
_WINDOW = timedelta(days=2)  # holds every moment at which some clock shows a day, and at most one change of it
_FARTHEST = timedelta(hours=15)  # more than a zone is ahead of UTC
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
_SPECIAL = late_pattern(r"[0-9]{0,2}(?:LW?|W)(?:-[0-9]{1,2})?|[a-z]{3}L|[0-9a-z]+#[0-9]", re.IGNORECASE)
_MARKS = frozenset("LlWw#")  # of which each has one
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # that months can be
_ITEM = late_pattern(
    r"(?P<first>\*|\?|[0-9]{1,4}|[a-z]+)(?:-(?P<last>[0-9]{1,4}|[a-z]+))?(?:/(?P<step>[0-9]{1,4}))?", re.IGNORECASE
)


class InvalidExpression(Exception):
    """The text says why, in a few words."""


class _Field(Struct, frozen=True):
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

    def __init__(self, text: str, zone: tzinfo, day_of_week: DayOfWeek = "documented") -> None:
        """Raises InvalidExpression."""
        self._zone = zone
        if len(text) > _CHARACTERS:
            raise InvalidExpression(f"{len(text)} characters exceed the limit of {_CHARACTERS}")
        if text.strip().startswith("@") and text.strip() not in _SHORTHANDS:
            raise InvalidExpression(f"unknown shorthand; known: {', '.join(_SHORTHANDS)}")
        parts = _SHORTHANDS.get(text.strip(), text).split()
        classic = len(parts) == 5
        if classic:
            parts = ["0", *parts]
        if len(parts) == 6:
            parts.append("*")
        if len(parts) != 7:
            raise InvalidExpression(
                f"{len(text.split())} fields; expected 5, 6 (with seconds) or 7 (with seconds and years)"
            )
        sets = [_values(part, number, day_of_week) for number, part in enumerate(parts)]
        self._seconds, self._minutes, self._hours, days, months, weekdays, self._years = sets
        self._every_hour = len(self._hours) == 24
        self._days = sum(1 << day for day in days)
        self._weekdays = _in_weeks(tuple(weekdays))
        open_day, open_weekday = (parts[index][0] in "*?" for index in (3, 5))
        self._either_day = classic and not open_day and not open_weekday
        self._months = [month for month in months if self._either_day or days[0] <= _LONGEST[month - 1]]

    def after(self, moment: datetime) -> datetime | None:
        """The first time strictly later, in UTC; None if there is none until 2100.

        Costs about the same for every expression: the calendar is asked for the next time that a clock without changes would
        show, and the zone only around that time.
        """
        begin = (moment.astimezone(UTC) + timedelta(seconds=1)).replace(tzinfo=None, microsecond=0)
        while begin.year <= LAST_YEAR:
            end = begin + _WINDOW
            ahead = []  # what the clocks of this window show next, though perhaps behind it
            found = []
            for first, last, offset in self._shown(begin, end):
                if first >= last:
                    continue
                local = self._next(first + offset)
                if local is None:
                    break
                if local < last + offset:
                    found.append(local - offset)
                ahead.append(local)
            if found:
                return min(found).replace(tzinfo=UTC) if min(found).year <= LAST_YEAR else None
            if not ahead:
                return None
            begin = max(end, min(ahead) - _FARTHEST)
        return None

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """The next times."""
        times: list[datetime] = []
        while len(times) < count and (found := self.after(times[-1] if times else moment)) is not None:
            times.append(found)
        return times

    def _shown(self, begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
        """The offsets of a window, each from when until when, all in UTC; they overlap where skipped time is made up."""
        early = begin - _CHANGE  # what the clocks skipped or repeat lately matters still
        before, after = self._offset(early), self._offset(end)
        if before == after:
            yield begin, end, after
            return
        least, most = 0, int((end - early).total_seconds())
        while least < most:  # the first second after the change
            middle = (least + most) // 2
            if self._offset(early + timedelta(seconds=middle)) == before:
                least = middle + 1
            else:
                most = middle
        change = early + timedelta(seconds=most)
        yield begin, min(change, end), before
        skipped = after - before  # negative: repeated
        if self._every_hour:
            yield max(change, begin), end, after
        else:
            yield max(change, change - skipped, begin), end, after
            yield max(change, begin), min(change + skipped, end), before

    def _offset(self, moment: datetime) -> timedelta:
        return moment.replace(tzinfo=UTC).astimezone(self._zone).utcoffset() or timedelta()

    def _next(self, local: datetime) -> datetime | None:
        """The first time from `local` on that a clock without changes would show."""
        day = self._next_day(local.year, local.month, local.day)
        if day == (local.year, local.month, local.day):
            time = self._next_time(local.hour, local.minute, local.second)
            if time is not None:
                return datetime(*day, *time)
            following = local + _DAY
            day = self._next_day(following.year, following.month, following.day)
        return None if day is None else datetime(*day, self._hours[0], self._minutes[0], self._seconds[0])

    def _next_time(self, hour: int, minute: int, second: int) -> tuple[int, int, int] | None:
        """That time of the day, or the first later one that matches."""
        from bisect import bisect_left  # which whoever only declares a schedule does without

        hours, minutes, seconds = self._hours, self._minutes, self._seconds
        at_hour = bisect_left(hours, hour)
        if at_hour < len(hours) and hours[at_hour] == hour:
            at_minute = bisect_left(minutes, minute)
            if at_minute < len(minutes) and minutes[at_minute] == minute:
                at_second = bisect_left(seconds, second)
                if at_second < len(seconds):
                    return hour, minute, seconds[at_second]
                at_minute += 1
            if at_minute < len(minutes):
                return hour, minutes[at_minute], seconds[0]
            at_hour += 1
        return None if at_hour == len(hours) else (hours[at_hour], minutes[0], seconds[0])

    def _next_day(self, year: int, month: int, day: int) -> tuple[int, int, int] | None:
        """That day, or the first later one that matches: a few numbers a month."""
        from bisect import bisect_left  # as above
        from calendar import monthrange

        for each_year in self._years[bisect_left(self._years, year) :]:
            for each_month in self._months:
                if each_year == year and each_month < month:
                    continue
                first, length = monthrange(each_year, each_month)
                in_week = self._weekdays[(first + 1) % 7]
                matching = (self._days | in_week if self._either_day else self._days & in_week) & ((2 << length) - 1)
                if each_year == year and each_month == month:
                    matching &= -1 << day
                if matching:
                    return each_year, each_month, (matching & -matching).bit_length() - 1
        return None


@lru_cache(512)  # a thousand schedules have the same few fields
def _values(text: str, field_number: int, day_of_week: DayOfWeek) -> list[int]:
    """In order; not to be changed."""
    field = _FIELDS[field_number]
    return sorted({number for item in text.split(",") for number in _item(item, field, day_of_week)})


@lru_cache(128)
def _in_weeks(weekdays: tuple[int, ...]) -> list[int]:
    """The days that have those weekdays, as bits, of a month that begins with a Sunday, a Monday, …"""
    return [sum(1 << day for day in range(1, 32) if (first + day - 1) % 7 in weekdays) for first in range(7)]


def _item(item: str, field: _Field, day_of_week: DayOfWeek) -> set[int]:
    matched = _ITEM.fullmatch(item)
    if not _MARKS.isdisjoint(item) and _SPECIAL.fullmatch(item):
        raise InvalidExpression(f"'{item}' in the {field.name}: L, W and # are not supported")
    if matched is None:
        raise InvalidExpression(f"'{item}' is not a valid {field.name}")
    first, last, step_text = matched["first"], matched["last"], matched["step"]
    if first == "?" and field not in (_DAY_OF_MONTH, _DAY_OF_WEEK):
        raise InvalidExpression(f"'?' is only allowed for days, not for the {field.name}")
    if first in "*?":
        if last is not None:
            raise InvalidExpression(f"'{item}' is not a valid {field.name}")
        numbers = list(range(field.least, field.most + 1))
    else:
        begin = _number(first, field, day_of_week)
        if last is not None:
            end = _number(last, field, day_of_week)
            if field is _DAY_OF_WEEK and last.isalpha() and end == 0 < begin:
                end = 7  # Sunday ends the week, as 7 does
            if end < begin:
                raise InvalidExpression(f"'{item}' is not an ascending range")
        elif step_text is None:
            return {begin % 7 if field is _DAY_OF_WEEK else begin}
        elif first.isalpha():
            raise InvalidExpression(f"'{item}': a step needs a range")
        else:
            end = max(begin, field.most)
        numbers = [number % 7 if field is _DAY_OF_WEEK else number for number in range(begin, end + 1)]
    step = 1 if step_text is None else int(step_text)
    if not 1 <= step <= max(field.most, 7 if field is _DAY_OF_WEEK else 0):
        raise InvalidExpression(f"step {step_text} of the {field.name} is out of range")
    return set(numbers[::step])


def _number(text: str, field: _Field, day_of_week: DayOfWeek) -> int:
    """Days of the week count from Sunday, 0, whatever the numbering; a Sunday that is written as 7 is 7."""
    if text.isalpha():
        number = field.names.get(text.lower())
        if number is None:
            raise InvalidExpression(f"'{text}' is not a valid {field.name}")
        return number
    number = int(text)
    if field is _DAY_OF_WEEK:
        if day_of_week == "quartz":
            if not 1 <= number <= 7:
                raise InvalidExpression(f"day of week {number} is out of range: expected 1 (Sunday) to 7")
            return number - 1
        if not 0 <= number <= 7:
            raise InvalidExpression(f"day of week {number} is out of range: expected 0 (Sunday) to 7 (also Sunday)")
        return number
    if not field.least <= number <= field.most:
        raise InvalidExpression(f"{field.name} {number} is out of range: expected {field.least} to {field.most}")
    return number
