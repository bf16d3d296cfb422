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
