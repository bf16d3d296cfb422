"""Depth, repairs and names of JSON text, beside plain reference readings of the same (01 §4, L14, I13)."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.protocol import json_text
from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.json_text import has_number_beyond_double, holds_more_than, mend_json, nests_deeper_than
from iii.protocol.limits import MENDED_BYTES, MIB

TOKENS = st.lists(
    st.sampled_from(["[", "[", "]", "{", "}", '"', '"', "\\", '\\"', "\\\\", "a", ",", "é"]), max_size=120
).map("".join)


def depth_of(text: str) -> int:
    deepest = depth = 0
    inside = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif inside:
            escaped = character == "\\"
            inside = character != '"'
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


@settings(max_examples=500, derandomize=True)
@given(TOKENS, st.integers(1, 6), st.integers(1, 40), st.sampled_from([2, 8, 256]))
def test_core_8b_depth_is_exact_wherever_the_text_is_cut(text: str, levels: int, piece: int, run: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_PIECE_BYTES", piece)
        patch.setattr(json_text, "_RUN", run)
        outside = re.sub(r'"(?:[^"\\]|\\.)*(?:"|\\?$)', lambda found: found[0], text)  # escapes exist in strings only
        if "\\" not in re.sub(r'"(?:[^"\\]|\\.)*(?:"|\\?$)', "", outside):
            assert nests_deeper_than(text.encode(), levels) == (depth_of(text) > levels)


def test_core_8b_closing_brackets_in_strings_hide_no_depth() -> None:
    assert nests_deeper_than(b'["]",' * 600 + b"1" + b"]" * 600, 500)
    assert not nests_deeper_than(b'["[",' * 400 + b"1" + b"]" * 400, 500)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("text", ['[{},"a"]', '{{"a":{}}}', '["x\\"{0}",{0}]', '["{0}","b",{0}]', '["\\\\",{0}]'])
def test_L14_constants_are_null_outside_strings_only(text: str, value: str) -> None:
    given = (
        text.replace("{0}", value)
        if "{0}" in text
        else text.replace("{}", value, 1).replace("{{", "{").replace("}}", "}")
    )
    expected = json.loads(given, parse_constant=lambda name: None)
    assert json.loads(mend_json(given.encode())) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (r'"\ud800"', "\ufffd"),
        (r'"\udc00\ud800"', "\ufffd\ufffd"),
        (r'"\ud800\ud83d\ude00"', "\ufffd\U0001f600"),
        (r'"\ud83d\ude00\ude00"', "\U0001f600\ufffd"),
        (r'"\\ud800\\\uD800"', "\\ud800\\\ufffd"),
        (r'"\"\ud800\""', '"\ufffd"'),
    ],
)
def test_lone_surrogates_are_mended_and_pairs_are_kept(given: str, expected: str) -> None:
    assert json.loads(mend_json(given.encode())) == expected


def cpu_ms(text: bytes) -> float:
    """Of one decoding, whatever comes of it."""
    times = []
    for _ in range(3):
        started = time.process_time()
        try:
            worker_message_decoder().decode(text)
        except Undecodable:
            pass
        times.append((time.process_time() - started) * 1000)
    return min(times)


CALL = b'{"type":"invokefunction","function_id":"f","data":%b}'


@pytest.mark.parametrize(
    ("first", "piece", "last"),
    [
        (b"[", b"NaN,", b"1]"),
        (b"[", b'{"a":NaN,"b":"c"},', b"1]"),
        (b'["', b"\\ud800", b'"]'),
        (b"[", b'"[","{",', b"1]"),
        (b"[", b"[[[[[[[[[[]]]]]]]]]],", b"1]"),
        (b"", b"[", b""),
        (b"[", b"[],", b"1]"),
        (b"[" * 480, b"[],", b"1" + b"]" * 480),
    ],
)
def test_core_8_work_is_at_the_speed_of_c(first: bytes, piece: bytes, last: bytes) -> None:
    text = CALL % (first + piece * (2 * MIB // len(piece)) + last)
    plain = CALL % (b"[" + b"0," * MIB + b"1]")
    assert cpu_ms(text) < 40 * cpu_ms(plain)  # Python for each token took a thousand times as long


def test_L14_a_text_beyond_the_bound_is_refused_not_mended() -> None:
    text = b"[" + b"NaN," * (MENDED_BYTES // 4) + b"1]"
    assert mend_json(text) is text
    with pytest.raises(Undecodable):
        worker_message_decoder().decode(CALL % text)


JSON_VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text(st.sampled_from('a,[{"\\'), max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('b,[{"\\'), max_size=3), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(JSON_VALUES)
def test_F3_values_are_counted_outside_strings(value: object) -> None:
    def weight(value: object) -> int:
        inside = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else None
        return 0 if inside is None else 2 + max(0, len(inside) - 1) + sum(map(weight, inside))

    text = json.dumps(value, separators=(",", ":")).encode()
    strings = len(re.findall(rb'"(?:[^"\\]|\\.)*"', text))
    counted = max(weight(value), strings)
    assert not holds_more_than(text, counted)
    assert counted == 0 or holds_more_than(text, counted - 1)


@pytest.mark.parametrize(
    ("text", "beyond"),
    [
        (b"1e400", True), (b'{"a":[1,-1E+999]}', True), (b"1" + b"0" * 400, False), (b"-" + b"9" * 300 + b"e12", True),
        (b"1e308", False), (b"1e-999", False), (b'"1e400"', False), (b'{"e1000":1}', False), (b"123456789012345678901", False),
        (b'"' + b"7" * 400 + b'"', False), (b"null", False),
    ],
)  # fmt: skip
def test_a_number_that_no_double_holds_is_found(text: bytes, beyond: bool) -> None:
    assert has_number_beyond_double(text) is beyond
