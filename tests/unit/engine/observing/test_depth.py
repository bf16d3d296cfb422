"""How deep observers have caused each other, as baggage says it (21 §8)."""

from __future__ import annotations

from typing import Any

import pytest

from iii.engine.observing.origin import depth_in, origin_in, with_depth
from iii.protocol.limits import BAGGAGE_CHARACTERS
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access
from tests.unit.engine.observing.scene import active, call, old, record, v1


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


@pytest.mark.parametrize(
    "members", [{"baggage": "a=b,iii.observe.depth=8"}, {"observe_depth": 8}, {"observe_depth": 8, "baggage": "a=b"}]
)
def test_21_8_a_session_hides_no_call_behind_a_depth_of_its_own(engine: MemoryEngine, members: dict[str, Any]) -> None:
    host, watcher = old(engine, "open::f"), v1(engine, "t")
    active(watcher, host, "o", "open::f", "t")
    guest = v1(engine, access=access('match("open::*")'))

    _call_as(guest, host, **members)

    assert "iii.observe.depth" not in host.invocations()[0].get("baggage", "")
    assert [each["observe_depth"] for each in watcher.invocations()] == [1]
    assert record(watcher, "o")["dropped"] == {}


def _call_as(guest: MemoryWorker, host: MemoryWorker, **members: Any) -> None:
    guest.start_call("open::f", {}, **members)
    host.answer(host.invocations()[-1], None)


def test_21_8_the_depth_of_a_call_that_a_session_was_handed_counts(engine: MemoryEngine) -> None:
    """Else a loop that goes through its functions had no end."""
    host = old(engine, "open::f")
    guest = v1(engine, "t", access=access('match("open::*")'))
    active(guest, host, "o", "open::f", "t")
    caller = old(engine)
    call(caller, host, "open::f", {})
    assert [each["observe_depth"] for each in guest.invocations()] == [1]

    _call_as(guest, host, observe_depth=7)

    assert [each["observe_depth"] for each in guest.invocations()] == [1, 2]
