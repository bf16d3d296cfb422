"""What a misspelt word was meant to be, of however many known ones."""

import pytest

from iii.protocol.suggestion import did_you_mean, nearest
from tests.machine import cpu_within

MANY = [f"orders::handler-{number}" for number in range(1_500)]
MOST_S = 1.0  # of what takes 10 ms, on a machine that does much else


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("orders::handlr-4", "orders::handler-4"),
        ("rders::handler-77", "orders::handler-77"),
        ("orders::handler-4x", "orders::handler-4"),
        ("something else", None),
        ("", None),
    ],
)
def test_the_nearest_of_many_is_found(wrong: str, meant: str | None) -> None:
    assert nearest(wrong, MANY) == meant


def test_words_from_outside_cost_little_however_many_and_long_they_are() -> None:
    words = [f"{'ab' * 125}{number}" for number in range(100_000)]
    with cpu_within(MOST_S):
        assert did_you_mean("ab" * 1_000, words) == ""
        nearest("ab" * 32, [word[150:] for word in words])
