"""The times of cron expressions against a slow walk through every minute, over zones and around their changes (04 §12.3, C13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from iii.protocol.cron_expression import Expression

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Santiago",
    "America/Sao_Paulo", "America/Nuuk", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca", "Africa/Cairo",
    "Asia/Kathmandu", "Asia/Tehran", "Asia/Jerusalem", "Asia/Beirut", "Pacific/Chatham", "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]  # fmt: skip
BLOCK = timedelta(minutes=15)  # clocks change at its borders only
CHANGE = timedelta(hours=2)  # the most they skip


class Walker:
    """What the expression was before it learnt to jump: every quarter of an hour is looked at."""

    def __init__(self, fields: list[set[int]], zone: ZoneInfo, either_day: bool) -> None:
        self.seconds = sorted(fields[0])
        self.minutes, self.hours, self.days, self.months, self.weekdays = fields[1:]
        self.zone = zone
        self.either_day = either_day

    def after(self, moment: datetime, until: datetime) -> datetime | None:
        start = (moment + timedelta(seconds=1)).replace(microsecond=0)
        block = start.replace(minute=start.minute // 15 * 15, second=0)
        while block < until:
            for found in self.in_block(block):
                if found >= start:
                    return found
            block += BLOCK
        return None

    def in_block(self, block: datetime) -> Iterator[datetime]:
        shown = block.astimezone(self.zone)
        local, every_hour = shown.replace(tzinfo=None), len(self.hours) == 24
        starts = [] if shown.fold and not every_hour else [local]
        if not every_hour:
            before = (block - CHANGE).astimezone(self.zone).utcoffset() or timedelta()
            skipped = block.replace(tzinfo=None) + before
            if skipped != local and not self.exists(skipped):
                starts.append(skipped)
        for minute in range(15):
            if any(self.matches(each + timedelta(minutes=minute)) for each in starts):
                for second in self.seconds:
                    yield block + timedelta(minutes=minute, seconds=second)

    def exists(self, naive: datetime) -> bool:
        there = naive.replace(tzinfo=self.zone).astimezone(UTC).astimezone(self.zone)
        return there.replace(tzinfo=None) == naive

    def matches(self, local: datetime) -> bool:
        if local.minute not in self.minutes or local.hour not in self.hours or local.month not in self.months:
            return False
        in_month, in_week = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return in_month or in_week if self.either_day else in_month and in_week


@cache
def changes(zone: str) -> list[datetime]:
    """Hours in which the clocks of a zone change, for some years; some hour if they don't."""
    found, hour, info = [], datetime(2024, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    while hour.year < 2028:
        following = hour + timedelta(hours=1)
        if hour.astimezone(info).utcoffset() != following.astimezone(info).utcoffset():
            found.append(hour)
        hour = following
    return found or [datetime(2026, 3, 29, tzinfo=UTC)]


@st.composite
def field(draw: st.DrawFn, least: int, most: int) -> tuple[str, set[int]]:
    numbers = st.integers(least, most)
    match draw(st.sampled_from(["all", "one", "step", "range", "list"])):
        case "one":
            number = draw(numbers)
            return str(number), {number}
        case "step":
            step = draw(st.integers(1, most))
            return f"*/{step}", set(range(least, most + 1, step))
        case "range":
            first, last = sorted((draw(numbers), draw(numbers)))
            return f"{first}-{last}", set(range(first, last + 1))
        case "list":
            some = draw(st.lists(numbers, min_size=1, max_size=4))
            return ",".join(map(str, some)), set(some)
    return "*", set(range(least, most + 1))


EARLY = st.sampled_from([("1", {1}), ("2", {2}), ("3", {3}), ("1-3", {1, 2, 3}), ("*", set(range(24)))])
MOST_DAYS = st.just(("*", set(range(1, 32))))


@given(
    st.sampled_from(ZONES), st.booleans(), field(0, 59), field(0, 59), EARLY | field(0, 23), MOST_DAYS | field(1, 31),
    st.one_of(st.just(("*", set(range(1, 13)))), field(1, 12)), st.one_of(st.just(("*", set(range(7)))), field(0, 6)),
    st.integers(0, 20), st.integers(-3 * 86400, 86400),
)  # fmt: skip
@settings(max_examples=250)
def test_core_2_the_same_times_as_a_walk(
    zone: str, classic: bool, s: tuple[str, set[int]], m: tuple[str, set[int]], h: tuple[str, set[int]],
    d: tuple[str, set[int]], mo: tuple[str, set[int]], w: tuple[str, set[int]], change: int, seconds: int,
) -> None:  # fmt: skip
    """C13: whatever the expression, the zone and the change of its clocks."""
    if classic:
        s = ("", {0})
    parts = [s, m, h, d, mo, w]
    either = classic and not d[0].startswith("*") and not w[0].startswith("*")
    expression = Expression(" ".join(text for text, _ in parts), ZoneInfo(zone))
    walker = Walker([values for _, values in parts], ZoneInfo(zone), either)
    known = changes(zone)
    moment = known[change % len(known)] + timedelta(seconds=seconds)
    until = moment + timedelta(days=5)
    for _ in range(3):
        expected, found = walker.after(moment, until), expression.after(moment)
        if expected is None:
            assert found is None or found >= until
            return
        assert found == expected
        moment = expected


@given(
    st.sampled_from(ZONES), field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6),
    st.sampled_from(["*", "2026-2100/4", "2099", "2027", "1970-2020"]), st.datetimes(datetime(2024, 1, 1), datetime(2099, 1, 1)),
)  # fmt: skip
@settings(max_examples=200)
def test_core_2_every_time_costs_a_few_looks_at_the_calendar_and_the_zone(
    zone: str, m: tuple[str, set[int]], h: tuple[str, set[int]], d: tuple[str, set[int]], mo: tuple[str, set[int]],
    w: tuple[str, set[int]], years: str, moment: datetime,
) -> None:  # fmt: skip
    """However rare the expression, and if its time never comes."""
    looks = 0

    class Counted(Expression):
        def _offset(self, moment: datetime) -> timedelta:
            nonlocal looks
            looks += 1
            return super()._offset(moment)

        def _next(self, local: datetime) -> datetime | None:
            nonlocal looks
            looks += 1
            return super()._next(local)

    text = f"0 {m[0]} {h[0]} {d[0]} {mo[0]} {w[0]} {years}"
    found = Counted(text, ZoneInfo(zone)).after(moment.replace(tzinfo=UTC))
    assert looks <= 60  # half of them to find the second of a change
    assert found is None or found > moment.replace(tzinfo=UTC)
