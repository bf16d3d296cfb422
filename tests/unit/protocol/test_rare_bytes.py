"""What counts bytes for the limits of a batch (29 §1)."""

from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.rare_bytes import occurrences


@given(st.lists(st.sampled_from([b"{", b"\n", b"a", b"\xff"]), max_size=50).map(b"".join))
def test_each_occurrence_counts_once(text: bytes) -> None:
    assert [occurrences(text, byte) for byte in (b"{", b"\n")] == [text.count(b"{"), text.count(b"\n")]
