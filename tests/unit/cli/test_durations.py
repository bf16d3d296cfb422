"""Durations as people read and type them."""

import argparse

import pytest

from iii.cli.durations import duration_text, milliseconds_of, seconds_of

MS = 1_000_000


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0.00 ms"), (420_000, "0.42 ms"), (9_994_000, "9.99 ms"), (12_340_000, "12.3 ms"), (123_400_000, "123 ms"), (999_400_000, "999 ms"),
     (999_900_000, "1.00 s"), (59_400 * MS, "59.4 s"), (123_000 * MS, "2 min 3 s"), (7_260_000 * MS, "2 h 1 min"), (-5, "0.00 ms")],
)  # fmt: skip
def test_three_figures_and_a_unit(nanoseconds: int, text: str) -> None:
    assert duration_text(nanoseconds) == text


def test_units() -> None:
    assert [seconds_of(text) for text in ("90", "90s", "1.5m", "2 h", "1d", "250ms", "3min")] == [
        90,
        90,
        90,
        7200,
        86_400,
        0.25,
        180,
    ]
    assert [milliseconds_of(text) for text in ("250", "0.5", "250ms", "1.5s")] == [250, 0.5, 250, 1500]


@pytest.mark.parametrize("text", ["", "s", "-1", "1w", "1e3", "ten", "9999999999d", "1.2.3"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    for read in (seconds_of, milliseconds_of):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a duration such as 250ms, 90s"):
            read(text)
