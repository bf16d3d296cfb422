"""Which traces are recorded, and which spans of workers are exported (17 §4)."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.engine.invocation import NO_TRACE, Trace
from iii.modules.observability.config import ObservabilityConfig, RateLimit, SamplingConfig, SamplingRule
from iii.modules.observability.tracing.sampler import TraceSampler
from iii.modules.observability.wildcards import wildcard
from iii.testing import FakeClock
from tests.unit.modules.observability.spans.engine_with_spans import span
from tests.unit.modules.observability.tracing.traced_engine import TRACEPARENT, UNSAMPLED, TracedEngine

LOW, HIGH = "f" * 16 + "1" + "0" * 15, "0" * 16 + "e" + "f" * 15  # a sixteenth of all ids is below the first


def sampling(*rules: dict[str, Any], **members: Any) -> SamplingConfig:
    return SamplingConfig(rules=tuple(SamplingRule(**rule) for rule in rules), **members)


def sampler(clock: FakeClock | None = None, **config: Any) -> TraceSampler:
    return TraceSampler(ObservabilityConfig(**config), clock or FakeClock())


def is_recorded(world: TracedEngine, name: str, parent: Trace = NO_TRACE) -> bool:
    tracer = world.engine.core.router.tracer
    assert tracer is not None
    begun = tracer.begin(name, "internal", parent)
    begun.end()
    return begun.sampled


def test_06_check_65_a_rule_drops_what_its_pattern_matches_as_a_whole() -> None:
    world = TracedEngine(sampling=sampling({"operation": "health.*", "rate": 0.0}))
    assert [is_recorded(world, name) for name in ("health.check", "health", "a.health.check")] == [False, True, True]
    assert {each["name"] for each in world.spans()} == {"health", "a.health.check"}


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("api.*", "api.users", True), ("api.*", "api", False), ("api.*", "apixusers", False), ("a?c", "abc", True),
        ("a?c", "ac", False), ("*", "", True), ("*", "a\nb", True), ("[ab]", "a", False), ("[ab]", "[ab]", True),
        ("!x", "!x", True), ("[!a]*", "[!a]b", True), ("a]", "a]", True),
    ],
)  # fmt: skip
def test_17_4_patterns(pattern: str, text: str, matches: bool) -> None:
    assert bool(wildcard(pattern)(text)) is matches


@given(st.text("ab*?.[]", max_size=6), st.text("ab.[]", max_size=6))
def test_17_4_a_pattern_matches_what_its_letters_say(pattern: str, text: str) -> None:
    def said(left: str, rest: str) -> bool:
        if not left:
            return not rest
        if left[0] == "*":
            return said(left[1:], rest) or bool(rest and said(left, rest[1:]))
        return bool(rest) and left[0] in ("?", rest[0]) and said(left[1:], rest[1:])

    assert bool(wildcard(pattern)(text)) == said(pattern, text)


def test_17_4_a_pattern_of_many_stars_is_no_slower_than_its_text_is_long() -> None:
    assert not wildcard("*a" * 20 + "*b")("a" * 5_000)


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [
        ({}, True, True),
        ({"sampling_ratio": 0.5}, True, False),
        ({"sampling_ratio": 0.0}, False, False),
        ({"sampling_ratio": 0.0, "sampling": sampling(default=0.5)}, True, False),
        ({"sampling": sampling({"operation": "n", "rate": 0.5}, {"rate": 1.0}, default=0.0)}, True, False),
        ({"sampling": sampling({"operation": "x", "rate": 1.0}, default=0.0)}, False, False),
        ({"sampling": sampling({"operation": "n", "service": "shop", "rate": 0.0})}, True, True),
        ({"sampling": sampling({"operation": "n", "service": "i*", "rate": 0.5})}, True, False),
        ({"service_name": "edge", "sampling": sampling({"service": "i*", "rate": 0.0})}, True, True),
    ],
)
def test_17_4_the_first_rule_that_matches_else_the_default_else_the_ratio(
    config: dict[str, Any], low: bool, high: bool
) -> None:
    decides = sampler(**config)
    assert (decides.begins("n", LOW), decides.begins("n", HIGH)) == (low, high)


@pytest.mark.parametrize(
    ("config", "parent", "recorded"),
    [
        ({"sampling_ratio": 0.0}, TRACEPARENT, True),  # 17 §4: parent-based unless something else is said
        ({}, UNSAMPLED, False),
        ({"sampling": sampling(parent_based=False)}, UNSAMPLED, True),
        ({"sampling_ratio": 0.0, "sampling": sampling(parent_based=False)}, TRACEPARENT, False),
        ({"sampling": sampling({"rate": 0.0}, parent_based=False)}, TRACEPARENT, True),
        ({"sampling": sampling(rate_limit=RateLimit(max_traces_per_second=1), parent_based=False)}, UNSAMPLED, False),
    ],
)
def test_17_4_a_span_follows_its_parent(config: dict[str, Any], parent: str, recorded: bool) -> None:
    world = TracedEngine(**config)
    assert is_recorded(world, "n", Trace(parent)) is recorded
    assert len(world.spans()) == recorded


def test_17_4_the_rate_limit_counts_only_traces_that_a_rule_has_let_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit = RateLimit(max_traces_per_second=2)
    world = TracedEngine(sampling=sampling({"operation": "health", "rate": 0.0}, rate_limit=limit))
    assert [is_recorded(world, "health") for _ in range(10)] == [False] * 10
    assert [is_recorded(world, "work", Trace(TRACEPARENT)) for _ in range(3)] == [True] * 3
    assert [is_recorded(world, "work") for _ in range(4)] == [True, True, False, False]
    world.clock.advance(0.5)
    assert [is_recorded(world, "work") for _ in range(2)] == [True, False]
    world.clock.advance(60)
    assert [is_recorded(world, "work") for _ in range(3)] == [True, True, False]
    assert len([each for each in caplog.records if "rate limit" in each.getMessage()]) == 1


def test_17_4_spans_of_a_worker_are_judged_by_their_own_service_and_take_one_token_a_trace() -> None:
    config = sampling({"service": "shop", "rate": 1.0}, default=0.0, rate_limit=RateLimit(max_traces_per_second=1))
    decides = sampler(sampling=config)
    shop = [span(str(number), trace=HIGH) for number in range(3)]
    assert [decides.forwards(each) for each in shop] == [True] * 3
    assert not decides.forwards(span("x", trace=LOW))  # no token is left
    assert not decides.forwards(span("y", trace=HIGH, service_name="other"))


def test_17_4_an_id_that_is_not_hexadecimal_is_below_no_share() -> None:
    assert not sampler(sampling_ratio=0.5).forwards(span("a", trace="zzzz"))


@given(st.floats(0, 1), st.integers(0, 2**32))
def test_17_4_a_decision_depends_on_the_trace_and_the_share_alone(ratio: float, seed: int) -> None:
    trace_id = random.Random(seed).randbytes(16).hex()
    one, other = sampler(sampling_ratio=ratio), sampler(sampling=sampling(default=ratio))
    assert one.begins("a", trace_id) == other.begins("b", trace_id) == (int(trace_id[16:], 16) < ratio * 2**64)


def test_17_4_a_share_of_the_traces_is_recorded() -> None:
    world = TracedEngine(sampling_ratio=0.25)
    assert 150 < sum(is_recorded(world, "n") for _ in range(1_000)) < 350


def test_17_4_what_an_unrecorded_span_causes_is_unsampled_and_below_the_nearest_span() -> None:
    world = TracedEngine(sampling_ratio=0.0)
    tracer = world.engine.core.router.tracer
    assert tracer is not None
    begun = tracer.begin("n", "internal", Trace(None, "k=v"))
    begun.note((("a", "b"),))
    begun.fail(b"{}")
    assert begun.trace.traceparent is not None
    assert begun.trace.traceparent.endswith("-00")
    assert begun.trace.baggage == "k=v"
    below = tracer.begin("n", "internal", begun.trace)
    assert below.trace == begun.trace
    assert world.spans() == []


def test_06_13_sampling_rules_shows_what_is_in_force() -> None:
    rules = sampling({"service": "payment-*", "rate": 1.0}, parent_based=False)
    world = TracedEngine(sampling=rules, sampling_ratio=0.5, logs_sampling_ratio=0.1)
    answer = world.ask("sampling::rules")
    assert answer == {
        "traces": {
            "default_ratio": 0.5, "parent_based": True, "rules": [{"operation": None, "service": "payment-*", "rate": 1.0}],
        },
        "logs": {"sampling_ratio": 0.1},
        "timestamp": world.clock.time_ms(),
    }  # fmt: skip


def test_06_13_sampling_rules_of_the_default() -> None:
    assert TracedEngine().ask("sampling::rules")["traces"] == {"default_ratio": 1.0, "rules": [], "parent_based": True}


def test_17_4_sampling_rules_shows_the_limit() -> None:
    world = TracedEngine(sampling=sampling(rate_limit=RateLimit(max_traces_per_second=7)))
    assert world.ask("sampling::rules")["traces"]["rate_limit"] == {"max_traces_per_second": 7}


def test_17_4_sampling_and_enabled_change_at_run_time() -> None:
    world = TracedEngine()
    world.module.apply(ObservabilityConfig(sampling_ratio=0.0))
    assert not is_recorded(world, "n")
    assert world.ask("sampling::rules")["traces"]["default_ratio"] == 0.0
    world.module.apply(ObservabilityConfig(sampling=sampling(default=1.0)))
    assert is_recorded(world, "n")
    world.module.apply(ObservabilityConfig(enabled=False))
    assert world.engine.core.router.tracer is None
    world.module.apply(ObservabilityConfig())
    assert is_recorded(world, "n")
