"""`engine::traces::group_by` (06 §7.4)."""

from tests.unit.modules.observability.spans.engine_with_spans import EngineWithSpans, span


def test_06_check_31_groups_of_a_session() -> None:
    world = EngineWithSpans()
    one = [("iii.session.id", "one"), ("iii.session.name", "old name")]
    world.take(span("a", trace="tb", start=1000, end=1500, attributes=one, status="error"))
    world.take(span("b", trace="ta", start=1100, end=1200, attributes=[*one[:1], ("iii.session.name", "new name")]))
    world.take(span("c", "b", trace="ta", start=1300, end=1400, attributes=one[:1]), span("plain", trace="tc"))
    world.take(
        span("d", trace="td", start=1250, end=1260, attributes=[("iii.session.id", "two"), ("iii.session.id", "x")])
    )
    groups = world.ask("group_by", attribute="iii.session.id", label_attribute="iii.session.name")["groups"]
    assert groups == [
        {
            "value": "two", "label": None, "trace_ids": ["td"], "span_count": 1, "first_seen_ms": 1250,
            "last_seen_ms": 1260, "duration_ms": 10, "error_count": 0,
        },
        {
            "value": "one", "label": "new name", "trace_ids": ["ta", "tb"], "span_count": 3, "first_seen_ms": 1000,
            "last_seen_ms": 1500, "duration_ms": 500, "error_count": 1,
        },
    ]  # fmt: skip
    assert len(world.ask("group_by", attribute="iii.session.id", limit=1)["groups"]) == 1
    assert world.ask("group_by", attribute="iii.session.id", limit=0)["groups"] == []
    (late,) = world.ask("group_by", attribute="iii.session.id", since_ms=1450)["groups"]
    assert late["span_count"] == 1


def test_06_7_4_internal_spans_are_grouped_only_if_asked_for() -> None:
    world = EngineWithSpans()
    world.take(span("a", attributes=[("k", "v"), ("iii.function.kind", "internal")]))
    assert world.ask("group_by", attribute="k")["groups"] == []
    assert world.ask("group_by", attribute="k", include_internal=True)["groups"][0]["span_count"] == 1


def test_06_7_4_a_long_duration_is_cut() -> None:
    world = EngineWithSpans()
    world.take(span("a", start=0, end=2**33, attributes=[("k", "v")]))
    assert world.ask("group_by", attribute="k")["groups"][0]["duration_ms"] == 4294967295
    assert world.call("group_by", {})["error"]["message"].endswith("missing field `attribute`")
