"""However a secret's name is written, its value is neither stored nor exported, of spans and log records (06 §7.1, §10.1, 14 §1)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from iii.modules.observability.export.protobuf import traces_request
from iii.modules.observability.ingest.frames import frame_of
from iii.modules.observability.ingest.logs import log_of
from iii.modules.observability.ingest.origin import Origin
from iii.modules.observability.ingest.spans import span_of
from iii.modules.observability.ingest.values import Drops
from iii.modules.observability.records import Attributes, Span, SpanEvent, SpanLink
from iii.modules.observability.spans.row import Packer
from iii.protocol.secrets import is_secret
from iii.protocol.telemetry import TelemetryKind

VALUE = "v4lu3"
KEYS = ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "api_key", "access_token",
        "refresh_token", "password", "secret", "credential"]  # fmt: skip
NAMES = [
    *KEYS,
    "passphrase",
    "clientSecret",
    "token",
    "auth_token",
    "accessKey",
    "private-key",
    "bearer",
    "authorisation",
]
ORIGIN = Origin({}, "shop", 0)


@st.composite
def in_any_case(draw: st.DrawFn, names: list[str]) -> str:
    name = draw(st.sampled_from(names))
    upper = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    name = "".join(letter.upper() if up else letter for letter, up in zip(name, upper, strict=True))
    return name.replace("K", draw(st.sampled_from(["K", "\u212a"])))


def escaped(draw: st.DrawFn, text: str) -> str:
    """As JSON may write it."""
    ways = draw(st.lists(st.integers(0, 2), min_size=len(text), max_size=len(text)))
    return "".join(
        f"\\u{ord(letter):04x}" if way == 1 else f"\\u{ord(letter):04X}" if way == 2 else letter
        for letter, way in zip(text, ways, strict=True)
    )


@st.composite
def payloads(draw: st.DrawFn) -> str:
    """JSON with a secret somewhere, perhaps twice under one name, perhaps cut short."""
    name = escaped(draw, draw(st.sampled_from(["", "my_"])) + draw(in_any_case(NAMES)))
    space = draw(st.sampled_from(["", " ", "\n"]))
    text = f'{{"{name}"{space}:{space}"{VALUE}"}}'
    for around in draw(
        st.lists(st.sampled_from(['{"a":%s}', '[1,%s,"x\\""]', '{"k\\"":"\\\\","b":%s}', '{"a":%s,"a":1}']), max_size=3)
    ):
        text = around % text
    return text[draw(st.integers(0, 2)) : len(text) - draw(st.integers(0, 3))]


@st.composite
def urls(draw: st.DrawFn) -> tuple[str, str]:
    name = draw(in_any_case(NAMES))
    at = draw(st.integers(0, len(name) - 1))
    quoted = draw(
        st.sampled_from([name, "".join([name[:at], *(f"%{each:02x}" for each in name[at].encode()), name[at + 1 :]])])
    )
    return draw(
        st.sampled_from(["url.full", "URL.Query", "http.url", "http.target"])
    ), f"https://x/?a=1&{quoted}={VALUE}#b"


PAIRS = st.one_of(
    st.tuples(in_any_case(KEYS), st.just(VALUE)), st.tuples(st.just("iii.payload.json"), payloads()), urls()
)


def stored(attributes: Attributes, events: list[SpanEvent], links: list[SpanLink]) -> str:
    span = Span("a" * 32, "b" * 16, None, "n", 1, 2, "ok", attributes, "s", events, links)
    return f"{Packer().row(span).answer(None)!r}{traces_request([span], {})!r}"


@given(PAIRS)
@example(("iii.payload.json", '{"pas\\u0073word":"v4lu3"}'))
@example(("iii.payload.json", '{"a":{"password":"v4lu3"},"a":1}'))
@example(("iii.payload.json", 'sword":1,"pas\\u0073word":"v4lu3'))
@example(("url.full", "https://x/?pass%77ord=v4lu3"))
def test_06_check_18_a_secret_is_neither_stored_nor_exported_however_its_name_is_written(pair: tuple[str, str]) -> None:
    pairs = [("before", "1"), pair, ("after", "2")]
    assert VALUE not in stored(pairs, [], [])
    assert VALUE not in stored([], [SpanEvent("e", 1, pairs)], [])
    assert VALUE not in stored([], [], [SpanLink("c" * 32, "d" * 16, None, pairs)])


@given(PAIRS, st.integers(0, 62))
def test_06_check_18_secrets_within_attributes_are_not_kept_of_spans_and_log_records(
    pair: tuple[str, str], depth: int
) -> None:
    value: Any = {"kvlistValue": {"values": [{"key": pair[0], "value": {"stringValue": pair[1]}}]}}
    for level in range(depth):
        value = (
            {"arrayValue": {"values": [value]}}
            if level % 2
            else {"kvlistValue": {"values": [{"key": "k", "value": value}]}}
        )
    attributes = [{"key": "deep", "value": value}]
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "n", "attributes": attributes}
    log = {"attributes": attributes, "body": value}
    frame = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    logs = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [log]}]}]}).encode()
    drops = Drops()
    taken: Any = frame_of(TelemetryKind.SPANS, frame, drops)
    kept = span_of(taken.resources[0].scopes[0].items[0], ORIGIN, drops)
    taken = frame_of(TelemetryKind.LOGS, logs, drops)
    record = log_of(taken.resources[0].scopes[0].items[0], ORIGIN, drops)
    assert drops.items == 0
    assert VALUE not in stored(kept.attributes, [], [])
    assert VALUE not in repr(msgspec.json.encode(record))


@given(st.text(max_size=200))
@example('{"x": "monkey...')
def test_06_7_1_payloads_without_secret_names_mean_the_same(text: str) -> None:
    ((_, kept),) = msgspec.json.decode(
        Packer()
        .row(Span("t", "s", None, "n", 1, 2, "ok", [("iii.payload.json", json.dumps({"tokens": text}))], "s", [], []))
        .answer(None)
    )["attributes"]
    assert not is_secret("tokens")
    assert json.loads(kept) == {"tokens": text}
