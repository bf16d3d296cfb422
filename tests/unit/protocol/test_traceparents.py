"""Which texts are a `traceparent` (06 §3, 17 §3)."""

import re

import pytest

from iii.protocol.tracecontext import is_traceparent, valid_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01"
SAME = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@pytest.mark.parametrize(
    "text",
    [
        VALID,
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-ff",
        f"00-{'0' * 16}{SPAN}-{SPAN}-01",
        f"00-{SPAN}{'0' * 16}-{SPAN}-01",
    ],
)
def test_17_3_a_traceparent_is_one(text: str) -> None:
    assert is_traceparent(text)
    assert SAME.fullmatch(text)
    assert valid_traceparent(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "no trace", VALID.upper(), f"01-{TRACE}-{SPAN}-01", f"0x-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{'x' * 32}-{SPAN}-01", f"{VALID}-more", f"{VALID}\n", VALID[:-1], f" {VALID}",
        VALID.replace("-", "_"), f"00-{TRACE}-{SPAN[:-1]}\ud800-01", f"00-{TRACE}-{SPAN[:-1]}é-01", f"00-{TRACE}{SPAN}--01",
    ],
)  # fmt: skip
def test_17_3_another_text_is_none(text: str) -> None:
    assert not is_traceparent(text)
    assert not SAME.fullmatch(text)
    assert valid_traceparent(text) is None


@pytest.mark.parametrize("at", range(len(VALID)))
def test_17_3_no_character_may_be_another(at: int) -> None:
    for character in "0aAgx-?_ é":
        text = VALID[:at] + character + VALID[at + 1 :]
        assert is_traceparent(text) == bool(SAME.fullmatch(text))
