"""Names, versions, telemetry prefixes and trace context (01 §6, §8.7; 02 §1.1; 06 §2.2, §3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.limits import BAGGAGE_CHARACTERS
from iii.protocol.names import clean_name, first_segment, is_blank, is_builtin_id, without_control_characters
from iii.protocol.telemetry import TelemetryKind, telemetry_kind
from iii.protocol.tracecontext import baggage_for_target, baggage_values, valid_traceparent
from iii.protocol.versions import parse_version


@pytest.mark.parametrize(
    "function_id", ["engine::x", "state::get", "publish", "enqueue", "queue::define", "bridge.invoke", "iii-http::x"]
)
def test_02_1_1_builtin_ids(function_id: str) -> None:
    assert is_builtin_id(function_id)


@pytest.mark.parametrize("function_id", ["svc::f", "engine", "publisher", "enqueue2", "statement::get"])
def test_02_1_1_other_ids(function_id: str) -> None:
    assert not is_builtin_id(function_id)


def test_N3_blank_is_not_absent() -> None:
    assert [is_blank(name) for name in (None, "", " ", "\t", "a")] == [False, True, True, True, False]


def test_first_segment() -> None:
    assert [first_segment(text) for text in ("a::b::c", "a", "::a")] == ["a", "a", ""]


@given(st.text())
def test_cleaned_names_are_short_and_harmless(text: str) -> None:
    cleaned = clean_name(text)
    assert cleaned is None or (0 < len(cleaned) <= 280 and cleaned == cleaned.strip())
    assert without_control_characters(cleaned or "") == (cleaned or "")
    assert clean_name(None) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0.23.0", (0, 23, 0)),
        ("0.23.0-rc.4", (0, 23, 0)),
        ("0.25.0+iii-py.0.1.0", (0, 25, 0)),
        ("1.2", None),
        ("v1.2.3", None),
        ("", None),
        (None, None),
        ("9999999999.0.0", None),
    ],
)
def test_N4_versions(text: str | None, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (b"OTLP", TelemetryKind.SPANS),
        (b"MTRC{}", TelemetryKind.METRICS),
        (b"LOGS\xff", TelemetryKind.LOGS),
        (b"OTL", None),
        (b"", None),
        (b'{"type":"ping"}', None),
    ],
)
def test_06_2_2_telemetry_prefixes(message: bytes, kind: TelemetryKind | None) -> None:
    assert telemetry_kind(message) is kind


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "text",
    [None, "", "garbage", TRACEPARENT.upper(), TRACEPARENT + "-x", "01" + TRACEPARENT[2:],
     "00-" + "0" * 32 + "-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01"],
)  # fmt: skip
def test_06_3_invalid_headers_are_absent(text: str | None) -> None:
    assert valid_traceparent(text) is None


def test_06_3_a_valid_header_is_itself() -> None:
    assert valid_traceparent(TRACEPARENT) == TRACEPARENT


def test_01_check_40_baggage_names_the_target_once() -> None:
    baggage = "iii.session.id=s-1, iii.function.id=a::b ,iii.function.id=c;p=1,broken,=x"
    assert baggage_for_target(baggage, "child::fn") == "iii.session.id=s-1,iii.function.id=child::fn"
    assert baggage_for_target(None, "f") == "iii.function.id=f"


def test_06_3_baggage_that_is_too_long_has_no_entries() -> None:
    longest = "a=" + "b" * (BAGGAGE_CHARACTERS - 2)
    assert baggage_for_target(longest, "f") == f"{longest},iii.function.id=f"
    assert baggage_for_target(f"{longest}b", "f") == "iii.function.id=f"
    assert baggage_values(f"{longest}b") == {}


def test_baggage_values_are_decoded() -> None:
    assert baggage_values("a=x%20y;prop=1, b = 2 ,a=3,nothing") == {"a": "3", "b": "2"}
    assert baggage_values(None) == {}


@given(st.text(min_size=1).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text)))
def test_any_function_id_survives_baggage(function_id: str) -> None:
    assert baggage_values(baggage_for_target("k=v", function_id)) == {"k": "v", "iii.function.id": function_id}
