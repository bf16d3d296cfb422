"""What is known of a call before its end: whose filters its input excludes (21 §1)."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.engine.observing.definition import Definition, Policy
from iii.engine.observing.filters.compiled import CompiledFilter
from iii.engine.observing.observer import Observer
from iii.engine.observing.outcome import Outcome
from iii.engine.observing.party import Party
from iii.engine.observing.screen import SCREENED_BYTES, look_at
from iii.engine.observing.snapshot import Snapshot
from iii.testing import MemoryEngine
from tests.unit.engine.observing.scene import activations, observe, old, v1

VALUES = st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, "x", "y", "", "é", [], ["x"], {}, {"op": "x"}])
CONDITIONS = st.one_of(
    VALUES.map(lambda value: {"$eq": value}),
    st.lists(VALUES, max_size=3).map(lambda values: {"$in": values}),
    st.tuples(VALUES, VALUES).map(lambda both: {"$eq": both[0], "$ne": both[1]}),
    st.just({"$exists": False}),
)
NAMES = ["input.op", "input.op", "input.other", "input.op.op", "input.0", "output.op", "input._caller_worker_id"]
FILTERS = st.dictionaries(st.sampled_from(NAMES), CONDITIONS, max_size=2)
INPUTS = st.one_of(
    VALUES, st.dictionaries(st.sampled_from(["op", "other", "_caller_worker_id", "0", 'o"p']), VALUES, max_size=4)
)


def observer(number: int, written: Any) -> Observer:
    compiled = CompiledFilter(json.dumps(written).encode())
    definition = Definition(("default", "a::f"), b"{}", compiled.text, (), "success", "envelope", ("default", "a::t"),
                            b"null", Policy(None, None, None))  # fmt: skip
    return Observer(f"o{number}", number, cast(Party, None), definition, compiled)


@given(st.lists(FILTERS, max_size=20), INPUTS)
def test_screening_excludes_only_those_whose_filter_says_no(filters: list[Any], value: Any) -> None:
    snapshot = Snapshot([observer(number, written) for number, written in enumerate(filters)])
    text = json.dumps(value).encode()
    outcome = Outcome(True, {"input": text, "output": b'{"op":"x"}'})
    document = outcome.document(frozenset(("input", "output")))
    expected = [each for each in snapshot.observers if each.matches is None or each.matches(document)]

    assert snapshot.matching(outcome, screened=snapshot.screened(text)) == expected


@pytest.mark.parametrize("name", ['quo"te', "back\\\\slash", "line\nend", "_caller_worker_id"])
def test_members_that_cannot_be_looked_up_are_not(name: str) -> None:
    (path,) = [path for path, _ in CompiledFilter(json.dumps({f"input.{name}": {"$eq": 1}}).encode()).equalities()]

    assert look_at(path) is None


def test_of_members_that_come_twice_the_last_one_counts() -> None:
    snapshot = Snapshot([observer(0, {"input.op": {"$eq": "x"}})])

    assert snapshot.screened(b'{"op":"x","op":"y"}') == ()
    assert snapshot.screened(b'{"op":"y","op":"x"}') == list(snapshot.observers)
    assert snapshot.screened(b'{"op":"y","\\u006fp":"x"}') == list(snapshot.observers)


def test_what_cannot_be_looked_at_beforehand_is_asked_afterwards() -> None:
    snapshot = Snapshot([observer(0, {"input.op": {"$eq": "x"}})])

    assert snapshot.screened(b"[1]") is None
    assert snapshot.screened(b'{"op":"x\xff"}') is None
    assert snapshot.screened(b'{"op":"y","blob":"%b"}' % (b"z" * SCREENED_BYTES)) is None


def test_a_call_that_is_for_nobody_is_not_followed(engine: MemoryEngine) -> None:
    host, watcher = old(engine, "a::f"), v1(engine, "a::t")
    observe(watcher, "o1", "a::f", "a::t", source_members={"filters": {"input.op": {"$eq": "x"}}})

    other = engine.core.router.call("a::f", None, b'{"op":"y"}')
    this = engine.core.router.call("a::f", None, b'{"op":"x"}')

    assert other.followed is None
    assert this.followed is not None
    for invocation in list(host.session.handling.values()):
        invocation.complete(b"1")
    assert [call["data"]["input"] for call in activations(watcher)] == [{"op": "x"}]
