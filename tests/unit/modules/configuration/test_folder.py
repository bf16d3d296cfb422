"""Files of entries (18 §2.6)."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.modules.configuration.entry import same
from iii.modules.configuration.folder import (
    ConfigurationFolder,
    StoredEntry,
    UnreadableEntry,
    entry_text,
    read_entry,
)
from iii.protocol.limits import CONFIGURATION_FILE_BYTES

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
AMBIGUOUS = [
    "0o17",
    "1e3",
    "yes",
    "no",
    "12:30",
    "2020-01-01",
    "~",
    "<<",
    "=",
    ".5",
    "0x1f",
    "null",
    "",
    " x ",
    "#",
    "a: b",
    "- a",
]


@given(JSON | st.sampled_from(AMBIGUOUS), st.text(), JSON)
def test_18_s2_6_what_is_written_is_what_is_read(value: object, name: str, metadata: object) -> None:
    texts = msgspec.json.encode(value), msgspec.json.encode(metadata)
    entry = StoredEntry(id="x", name=name, description=name, value=texts[0], metadata=texts[1])
    read = read_entry(entry_text(entry))
    assert same(read.value, entry.value)
    assert (read.metadata is None) == (metadata is None)
    assert (read.id, read.name, read.description) == ("x", name, name)


def test_18_s2_6_a_file_is_for_people_to_read() -> None:
    entry = StoredEntry(
        id="iii-stream", name="Stream worker", description="Settings", value=b'{"port":3112,"host":"::"}'
    )
    assert entry_text(entry).decode() == (
        "id: iii-stream\nname: Stream worker\ndescription: Settings\nvalue:\n  host: '::'\n  port: 3112\n"
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"id: x\n", "missing required field `name`"), (b"", "Expected `object`"), (b"id: [\n", "not valid YAML"),
        (b"\xff", "utf-8"), (b"id: x\nname: y\nvalue: {1: {[a]: 2}}\n", "line 3"), (b"[1]", "Expected `object`"),
        (b"id: 1\nname: y\n", "Expected `str`"),
    ],
)  # fmt: skip
def test_18_s2_6_what_is_no_entry_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(UnreadableEntry, match=why):
        read_entry(content)


def test_18_s2_6_the_folder_is_looked_at_by_name_time_and_size(tmp_path: Path) -> None:
    folder = ConfigurationFolder(tmp_path / "config")
    assert folder.look({}) == {}
    signature = folder.write("a.yaml", b"id: a\nname: A\n")
    (tmp_path / "config" / "notes.txt").write_text("no entry")
    (tmp_path / "config" / "large.yaml").write_bytes(b" " * (CONFIGURATION_FILE_BYTES + 1))
    (tmp_path / "config" / "gone.yaml").symlink_to("nowhere")
    looked = folder.look({"a.yaml": signature})
    assert looked["a.yaml"] is None
    assert sorted(looked) == ["a.yaml", "large.yaml"]
    assert "more than" in looked["large.yaml"].problem  # type: ignore[union-attr]
    assert (tmp_path / "config" / "a.yaml").stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "config").glob("*.tmp"))
