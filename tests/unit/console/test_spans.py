"""What a span is about (23 §5)."""

import pytest

from iii.console.lists.spans import SpanSeen, Subject, subject_of


def span(name: str, kind: str = "internal", **attributes: str) -> SpanSeen:
    return SpanSeen(
        trace_id="1" * 32, span_id="2" * 16, name=name, kind=kind,
        attributes=[[key.replace("_", "."), value] for key, value in attributes.items()],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "subject"),
    [
        (span("execute a::b", iii_function_id="a::b"), Subject("function", "a::b")),
        (span("execute node::relay"), Subject("function", "node::relay")),  # published Node clients since 0.19
        (span("execute state::get"), Subject("state", "state")),
        (span("execute engine::functions::list"), None),
        (span("call wrapped"), None),  # published Python clients before 0.19: the engine's span above has the function
        (span("something of mine"), None),
        (span("queue mails::send@default", queue="mails::send@default"), Subject("topic", "mails")),
        (span("GET /a", kind="server", http_route="a/:id"), Subject("http", "GET /a/:id")),
    ],
)
def test_23_5_the_subject_of_a_span_is_in_its_attributes_or_else_in_its_name(
    seen: SpanSeen, subject: Subject | None
) -> None:
    assert subject_of(seen) == subject
