"""Files of other engines are taken over once, and never touched (05 §7.1, C9)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from iii.storage.items import Entry
from iii.storage.old_files import archived_text
from iii.storage.sqlite_items import SqliteItems
from tests.integration.storage.store import Store


def archive(text: str) -> bytes:
    """As the layout is described: text, padding, and a descriptor of eight bytes; a short text is in its place."""
    data = text.encode()
    if len(data) <= 8:
        return data.ljust(8, b"\xff")
    padded = data.ljust(-(-len(data) // 4) * 4, b"\0")
    word = (len(data) & 0x3F) | ((len(data) & ~0x3F) << 2) | 0x80
    return padded + word.to_bytes(4, "little") + (-len(padded)).to_bytes(4, "little", signed=True)


def old_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*.bin")}


@pytest.mark.parametrize("text", ["{}", '{"k":1}', '{"k":12}', '{"key":"Ä"}', '{"k":"' + "x" * 100_000 + '"}'])
def test_archives_are_read(text: str) -> None:
    assert archived_text(archive(text)) == text


@pytest.mark.parametrize("data", [b"", b"short", b"\x80" * 8, bytes(100) + b"\xbf\xff\xff\xff\0\0\0\0"])
def test_what_is_no_archive_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="archive"):
        archived_text(data)


async def test_05_s7_1_old_files_are_imported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def write(index: str, text: str) -> None:
        (tmp_path / f"{quote(index, safe='')}.bin").write_bytes(archive(text))

    write("my scope/Ä", '{"b":{"n":1},"a":[1.0,123456789012345678901234]}')
    write("stream:chat:room:1", '{"m1":{"text":"hi"}}')
    write("stream:iii:devtools:rows:all", '{"r":1}')
    (tmp_path / "broken.bin").write_bytes(b"broken")
    before = old_files(tmp_path)

    async def opened(part: str) -> Store:
        items = SqliteItems(tmp_path / part)
        await items.open()
        return Store(items)

    with caplog.at_level(logging.WARNING):
        state = await opened("state")
    assert re.search(r"not imported \(file=\S*broken\.bin, reason=", caplog.text)
    assert await state.groups() == {("my scope/Ä", "")}
    assert await state.entries(("my scope/Ä", "")) == [
        Entry("b", b'{"n":1}'), Entry("a", b"[1.0,123456789012345678901234]"),
    ]  # fmt: skip
    await state.delete(("my scope/Ä", ""), "a")
    await state.set(("my scope/Ä", ""), "b", b"2")
    await state.items.close()
    state = await opened("state")
    assert await state.entries(("my scope/Ä", "")) == [Entry("b", b"2")]
    await state.items.close()
    stream = await opened("stream")
    assert await stream.groups() == {("chat", "room:1"), ("iii:devtools:rows", "all")}
    await stream.items.close()
    assert old_files(tmp_path) == before
