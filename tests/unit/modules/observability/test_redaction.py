"""What has to go of attributes and events goes at once, however many there are (06 §2.11)."""

from iii.modules.observability.records import Attributes, SpanEvent
from iii.modules.observability.redaction import REDACTED, redacted, redacted_events
from tests.machine import cpu_within

MANY = 50_000  # a frame of a few MiB may have so many


def secrets() -> Attributes:
    return [("password" if number % 2 else "kept", str(number)) for number in range(MANY)]


def test_06_2_11_many_secrets_are_not_a_copy_each() -> None:
    attributes = secrets()
    events = [SpanEvent("e", 1, [attribute]) for attribute in attributes]

    with cpu_within(1):  # some 20 ms
        found, found_events = redacted(attributes), redacted_events(events)

    expected = [(key, value if key == "kept" else REDACTED) for key, value in attributes]
    assert found == expected
    assert [event.attributes for event in found_events] == [[attribute] for attribute in expected]
    assert attributes == secrets()
    assert [event.attributes for event in events] == [[attribute] for attribute in attributes]
