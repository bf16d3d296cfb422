"""The page of limits: each number of `protocol/limits.py` with a whole sentence, and those of single parts."""

import pytest

from docs.generator.limits_page import limits_page, sentence_of, with_unit
from iii.protocol import limits


def test_every_limit_is_shown() -> None:
    page = limits_page()
    names = [name for name in vars(limits) if name.isupper() and name not in ("KIB", "MIB")]
    assert len(names) > 40
    assert [name for name in names if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("comment", ["", "of the same; one message always fits", "Most bytes", "(L5)"])
def test_a_limit_without_a_sentence_is_refused(comment: str) -> None:
    with pytest.raises(ValueError, match="CHANNEL_BUFFER_MAX needs a comment that is a whole sentence"):
        sentence_of("CHANNEL_BUFFER_MAX", comment)


def test_rules_follow_the_sentence() -> None:
    assert sentence_of("X", "Longest message (of all). (L5, 01 §2.1)") == ("Longest message (of all).", "L5, 01 §2.1")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("A_BYTES", 8 * limits.MIB, "8 MiB"),
        ("A_BYTES", 512 * limits.KIB, "512 KiB"),
        ("A_BYTES", 32_000_000, "32000000 bytes"),
        ("A_BYTES", 1024 * limits.MIB, "1 GiB"),
        ("PACE_BYTES_PER_S", 64 * limits.MIB, "64 MiB/s"),
        ("A_S", 0.02, "0.02 s"),
        ("A_MS", 10_000, "10000 ms"),
        ("HELD_CALLS", 10_000, "10000"),
    ],
)
def test_a_value_has_the_unit_of_its_name(name: str, value: object, shown: str) -> None:
    assert with_unit(name, value) == shown


def test_limits_of_single_parts_are_shown_with_their_file() -> None:
    assert "| `WAITING_BYTES` | 256 MiB | Most bytes of writes that wait" in limits_page()
    assert "| `storage/limits.py` |" in limits_page()
