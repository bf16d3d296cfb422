"""How deep observers have caused each other, as baggage says it (21 §8)."""

from __future__ import annotations

import pytest

from iii.engine.observing.origin import depth_in, origin_in, with_depth
from iii.protocol.limits import BAGGAGE_CHARACTERS


@pytest.mark.parametrize(
    ("baggage", "said"),
    [
        (None, "iii.observe.depth=3"),
        ("a=b", "a=b,iii.observe.depth=3"),
        ("iii.observe.depth=7,a=b, iii.observe.depth=8", "a=b,iii.observe.depth=3"),
        ("a=" + "b" * BAGGAGE_CHARACTERS, "iii.observe.depth=3"),  # nobody would read any of it
    ],
)
def test_21_check_17_baggage_says_the_depth_once(baggage: str | None, said: str) -> None:
    assert with_depth(baggage, 3) == said
    assert depth_in(said) == 3


def test_21_check_17_what_no_observer_has_led_to_has_no_origin() -> None:
    assert origin_in("a=b") is None
    assert origin_in("iii.observe.depth=0") is None
    origin = origin_in("iii.observe.depth=2,a=b")
    assert origin is not None
    assert (origin.depth, origin.caller) == (2, b'{"worker_name":"iii-engine"}')


@pytest.mark.parametrize("baggage", ["x-iii.observe.depth=8", "a=iii.observe.depth=8", "a=b;iii.observe.depth=8"])
def test_26_check_10_only_the_entry_of_that_name_says_a_depth(baggage: str) -> None:
    """What looks like it passes the port for HTTP, and would hide calls from observers."""
    assert depth_in(baggage) == 0
    assert depth_in(f"iii.observe.depth=2,{baggage}") == 2
