"""Cron expressions (04 §12.3, checks 48, 49; C13), and what daylight saving time makes of them."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.cron_expression import DayOfWeek, Expression, InvalidExpression

ZONE = ZoneInfo("UTC")


def times(text: str, start: str, count: int = 3, zone: str = "UTC", numbering: DayOfWeek = "documented") -> list[str]:
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = Expression(text, ZoneInfo(zone), numbering).upcoming(moment, count)
    return [each.strftime("%Y-%m-%d %H:%M:%S") for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 */5 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
        ("0 0 2 * * * *", ["2026-01-01 02:00:00", "2026-01-02 02:00:00"]),
        ("0,20,40 * * * * *", ["2026-01-01 00:00:20", "2026-01-01 00:00:40"]),
        ("0 0 9 ? * MON-FRI", ["2026-01-01 09:00:00", "2026-01-02 09:00:00"]),
        ("@daily", ["2026-01-02 00:00:00", "2026-01-03 00:00:00"]),
        ("@weekly", ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]),
        ("@monthly", ["2026-02-01 00:00:00", "2026-03-01 00:00:00"]),
        ("@yearly", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("@hourly", ["2026-01-01 01:00:00", "2026-01-01 02:00:00"]),
        ("10/2 * * * * *", ["2026-01-01 00:00:10", "2026-01-01 00:00:12"]),
        ("0 9 * * 1-5", ["2026-01-01 09:00:00", "2026-01-02 09:00:00"]),
        ("*/5 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
        (" * * * * * * ", ["2026-01-01 00:00:01", "2026-01-01 00:00:02"]),
        ("0 0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 0 1 jan,July * 2027", ["2027-01-01 00:00:00", "2027-07-01 00:00:00"]),
        ("0 0 12 ?/10 * ?", ["2026-01-01 12:00:00", "2026-01-11 12:00:00"]),
        ("0 0 0 13 * fri", ["2026-02-13 00:00:00", "2026-03-13 00:00:00"]),
        ("0 0 13 * fri", ["2026-01-02 00:00:00", "2026-01-09 00:00:00"]),
    ],
)
def test_04_check_48_accepted(text: str, expected: list[str]) -> None:
    assert times(text, "2026-01-01 00:00:00", 2) == expected


@pytest.mark.parametrize(
    "text",
    [
        "* * * *", "0-65 * * * * *", "? * * * * *", "*/0 * * * * *", "* * * * * MON,TURTLE", "* * * * * * foo",
        "@dailyBla", "* * * * * Tues/2", "", "not a cron", "@DAILY", "@annually", "* * * * * * * *", "0 0 22-2 * * *",
        "* * * * * Fri-Mon", "*-5 * * * * *", "0 0 0 0 * *", "0 0 0 1 13 *", "* * * * * 8", "60 * * * * *", "0 0 0 L * *",
        "0 0 jan * * *", "* * * * * * 1969", "1,,2 * * * * *", "1-2-3 * * * * *", "*/61 * * * * *",
        "* * * * * 7-1", "9" * 5000 + " * * * * *", "\u0665 * * * * *", ",".join("*" * 1000) + " * * * * *",
    ],
)  # fmt: skip
def test_04_check_48_rejected(text: str) -> None:
    with pytest.raises(InvalidExpression) as refused:
        Expression(text, ZONE)
    assert str(refused.value)


@pytest.mark.parametrize(
    ("text", "numbering", "days"),
    [
        ("0 0 0 * * 0", "documented", {"Sun"}),
        ("0 0 0 * * 7", "documented", {"Sun"}),
        ("0 0 9-17 * * 1-5", "documented", {"Mon", "Tue", "Wed", "Thu", "Fri"}),
        ("0 0 0 * * 5-7", "documented", {"Fri", "Sat", "Sun"}),
        ("0 0 0 * * 7-7", "documented", {"Sun"}),
        ("0 0 0 * * 7/2", "documented", {"Sun"}),
        ("0 0 0 * * 1", "quartz", {"Sun"}),
        ("0 0 0 * * 2-6", "quartz", {"Mon", "Tue", "Wed", "Thu", "Fri"}),
        ("0 0 0 * * 7", "quartz", {"Sat"}),
        ("0 0 0 * * tuesday,thurs", "quartz", {"Tue", "Thu"}),
        ("0 0 0 * * sat-sun", "documented", {"Sat", "Sun"}),
        ("0 0 0 * * FRI-SUNDAY", "quartz", {"Fri", "Sat", "Sun"}),
        ("0 0 0 * * MON-SUN", "documented", {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}),
        ("0 0 0 * * sun-sun", "documented", {"Sun"}),
        ("0 0 0 * * sun-mon", "documented", {"Sun", "Mon"}),
    ],
)
def test_04_check_49_numbers_of_days(text: str, numbering: DayOfWeek, days: set[str]) -> None:
    found = Expression(text, ZONE, numbering).upcoming(datetime(2026, 1, 1, tzinfo=UTC), 70)
    assert {each.strftime("%a") for each in found} == days


@pytest.mark.parametrize(
    "text", ["0 0 0 L * *", "0 0 0 15W * *", "0 0 0 LW * *", "0 0 0 * * 5L", "0 0 0 * * friL", "0 0 0 * * fri#2", "0 0 0 * * 6#3",
             "0 0 0 L-3 * *"]
)  # fmt: skip
def test_durable_minor_quartz_letters_are_said_not_to_be_supported(text: str) -> None:
    with pytest.raises(InvalidExpression, match="L, W and # are not supported"):
        Expression(text, ZONE)


def test_04_check_49_quartz_has_no_day_0() -> None:
    with pytest.raises(InvalidExpression, match=r"day of week 0 is out of range: expected 1 \(Sunday\) to 7"):
        Expression("0 0 0 * * 0", ZONE, "quartz")


def test_a_time_that_never_comes() -> None:
    assert times("0 0 0 30 2 *", "2026-01-01 00:00:00") == []
    assert times("0 0 0 1 1 * 2020", "2026-01-01 00:00:00") == []


def test_dst_a_skipped_time_is_made_up_once() -> None:
    """Berlin, 29 March 2026: 02:00 becomes 03:00."""
    assert times("0 30 2 * * *", "2026-03-28 00:00:00", 3, "Europe/Berlin") == [
        "2026-03-28 01:30:00", "2026-03-29 01:30:00", "2026-03-30 00:30:00",
    ]  # fmt: skip
    assert times("0 0 2,3 * * *", "2026-03-28 12:00:00", 3, "Europe/Berlin") == [
        "2026-03-29 01:00:00", "2026-03-30 00:00:00", "2026-03-30 01:00:00",
    ]  # fmt: skip


def test_dst_a_repeated_time_counts_once() -> None:
    """Berlin, 25 October 2026: 03:00 becomes 02:00."""
    assert times("0 30 2 * * *", "2026-10-24 12:00:00", 2, "Europe/Berlin") == [
        "2026-10-25 00:30:00",
        "2026-10-26 01:30:00",
    ]


def test_dst_every_hour_follows_the_real_hours() -> None:
    for start in ("2026-03-28 22:00:00", "2026-10-24 22:00:00"):
        found = times("0 30 * * * *", start, 6, "Europe/Berlin")
        begin = datetime.fromisoformat(start) + timedelta(minutes=30)
        assert found == [(begin + timedelta(hours=number)).strftime("%Y-%m-%d %H:%M:%S") for number in range(6)]


def test_zones_with_odd_offsets() -> None:
    assert times("0 0 9 * * *", "2026-01-01 00:00:00", 1, "Asia/Kathmandu") == ["2026-01-01 03:15:00"]
    assert times("0 0 0 * * *", "2026-01-01 12:00:00", 1, "Pacific/Kiritimati") == ["2026-01-02 10:00:00"]
    assert times("0 0 0 1 * *", "2026-01-01 12:00:00", 1, "Pacific/Pago_Pago") == ["2026-02-01 11:00:00"]


FIELD = st.sampled_from(["*", "*/7", "3", "5-20/3", "1,2,11"])
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


@given(FIELD, FIELD, FIELD, st.sampled_from(["*", "1", "*/9", "31"]), st.sampled_from(["*", "2", "3-10"]), MOMENTS)
def test_the_next_time_matches_and_none_between_does(s: str, m: str, h: str, d: str, mo: str, moment: datetime) -> None:
    """Against a search second by second, in UTC."""
    found = Expression(f"{s} {m} {h} {d} {mo} *", ZONE).after(moment)
    sets = [
        {number for number in range(least, most + 1) if _naive(text, number, least)}
        for text, least, most in ((s, 0, 59), (m, 0, 59), (h, 0, 23), (d, 1, 31), (mo, 1, 12))
    ]

    def matches(each: datetime) -> bool:
        parts = (each.second, each.minute, each.hour, each.day, each.month)
        return all(part in values for part, values in zip(parts, sets, strict=True))

    second = (moment + timedelta(seconds=1)).replace(microsecond=0)
    for _ in range(3000):
        if matches(second):
            assert found == second
            return
        second += timedelta(seconds=1)
    assert found is None or (found >= second and matches(found))


def _naive(text: str, number: int, least: int) -> bool:
    for item in text.split(","):
        span, _, step = item.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            begin, end = least, 59
        else:
            begin, end = int(low), int(high or low)
        if begin <= number <= end and (number - begin) % int(step or 1) == 0:
            return True
    return False


def test_dst_a_gap_of_two_hours_loses_nothing() -> None:
    """Troll, 29 March 2026: 01:00 UTC, the clocks jump from 01:00 to 03:00."""
    found = Expression("0 30 2 * * *", ZoneInfo("Antarctica/Troll")).upcoming(datetime(2026, 3, 28, 12, tzinfo=UTC), 2)
    assert [each.strftime("%m-%d %H:%M") for each in found] == ["03-29 02:30", "03-30 00:30"]


def test_the_last_day_of_each_month_is_known() -> None:
    """Also of a leap year, and of 2100, which is none."""
    for year in (2027, 2028, 2100):
        last = [calendar.monthrange(year, month)[1] for month in range(1, 13)]
        found = times(f"0 0 0 28-31 * * {year}", "2026-01-01 00:00:00", count=60)
        assert [max(int(each[8:10]) for each in found if int(each[5:7]) == month) for month in range(1, 13)] == last
        assert len(found) == sum(last) - 12 * 27
