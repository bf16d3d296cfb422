"""Spans on disk: what survives, what stays within bounds, and what a broken disk costs (06 §7.5)."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import iii
from iii.cli import store as store_command
from iii.modules.observability.config import ObservabilityConfig, TraceStorageConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from iii.modules.observability.spans.archive import blocks, columns, sums
from iii.modules.observability.spans.archive.questions import Questions
from iii.modules.observability.spans.archive.schema import MIGRATIONS
from iii.modules.observability.spans.archive.tables import ArchivedSpan, Tables
from iii.modules.observability.spans.row import Packer
from iii.protocol.reply import reply_of
from iii.storage.transactions import Connection, Work
from tests.integration.own_engine import OwnEngine

MS = 1_000_000


def span(trace: str, span_id: str, parent: str | None = None, start: int = 1000, **members: Any) -> Span:
    """Of 1 ms."""
    given = {
        "name": "work",
        "status": "ok",
        "attributes": [],
        "service_name": "shop",
        "events": [],
        "links": [],
        **members,
    }
    return Span(
        trace_id=trace, span_id=span_id, parent_span_id=parent, start_time_unix_nano=start * MS,
        end_time_unix_nano=(start + 1) * MS, **given,
    )  # fmt: skip


class Traced(OwnEngine[Observability]):
    def take(self, *spans: Span) -> None:
        self.module.signals.spans(list(spans), Source.WORKER)

    async def ask(self, function: str, **request: Any) -> Any:
        return await self.worker.trigger_async({"function_id": f"engine::traces::{function}", "payload": request})

    async def listed(self, **request: Any) -> list[str]:
        return [each["span_id"] for each in (await self.ask("list", **request))["spans"]]

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(self.deadline_s):
            while not await true():  # noqa: ASYNC110 - it asks the engine
                await asyncio.sleep(0.01)

    async def write(self, work: Work) -> None:
        """Something else than spans."""
        archive = self.module.spans.archive
        assert archive is not None
        await reply_of(partial(archive.write, work))

    async def found(self, query: str) -> Any:
        """One value on disk."""
        archive = self.module.spans.archive
        assert archive is not None
        return await reply_of(partial(archive.read, lambda connection: connection.execute(query).fetchone()[0]))

    async def pages(self, at_most: Callable[[int], int]) -> None:
        """Bound the file, as a disk does."""

        def work(connection: Connection) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {at_most(pages)}")

        await self.write(work)

    async def health(self) -> Any:
        return await self.worker.trigger_async({"function_id": "engine::health::check", "payload": {}})

    async def written(self) -> None:
        """All that is finished is on disk."""
        store = self.module.spans.store
        assert store is not None
        deque(self.module.spans.settled(), 0)

        async def done() -> bool:
            return all(row.archived for row in store.finished())

        await self.until(done)

    async def read_ahead(self, blocks_: int) -> None:
        """So many blocks are sealed, and what lists need of them is known."""
        archive = self.module.spans.archive
        assert archive is not None
        known = archive.known_blocks

        def work(connection: Connection) -> bool:
            sealed = columns.sealed(connection)
            return len(sealed) == blocks_ and not any(known.lacking(each, sealed, 1) for each in sums.COLUMNS)

        async def done() -> bool:
            return bool(await reply_of(partial(archive.read, work)))

        await self.until(done)


@asynccontextmanager
async def traced(folder: Path, memory_max_spans: int = 10_000, **more: Any) -> AsyncIterator[Traced]:
    storage = TraceStorageConfig(directory=str(folder), **more)
    config = ObservabilityConfig(trace_storage=storage, memory_max_spans=memory_max_spans)
    own = await Traced.opened(lambda engine: Observability(engine, config))
    try:
        yield own
    finally:
        for worker in own.workers:
            await worker.shutdown_async()
        await own.listener.close()
        await own.module.stop()


async def test_06_check_66_spans_survive_a_restart(tmp_path: Path) -> None:
    async with traced(tmp_path / "traces", memory_max_spans=2) as own:
        own.take(span("t1", "a"), span("t1", "b", "a"), span("t2", "c"), span("t3", "pending", pending=True))
        assert set(await own.listed()) == {"a", "c", "pending"}
        await own.written()
        own.take(*(span("t4", f"d{number}", start=2000 + number) for number in range(5)))
        assert set(await own.listed(limit=3)) == {"a", "c", "pending"}  # evicted, or not written yet: no difference
        assert (await own.ask("list", trace_id="t1", search_all_spans=True))["total"] == 2
        assert await own.listed(trace_prefix="t1") == ["a"]  # on disk alone
        assert set(await own.listed(trace_prefix="t")) == {"a", "c", "pending", *(f"d{number}" for number in range(5))}
        storage = (await own.ask("list"))["storage"]
        assert (storage["archive"], storage["completeness"], storage["last_error"]) == ("healthy", "complete", None)
    async with traced(tmp_path / "traces") as own:
        answer = await own.ask("list", sort_order="desc")
        assert [each["span_id"] for each in answer["spans"]] == [
            "d4",
            "d3",
            "d2",
            "d1",
            "d0",
            "c",
            "a",
        ]  # not the pending one
        assert answer["total"] == 7
        assert answer["storage"]["completeness"] == "complete"
        assert answer["storage"]["physical_bytes"] > 0
        (root,) = (await own.ask("tree", trace_id="t1"))["roots"]
        assert [child["span_id"] for child in root["children"]] == ["b"]
        details = (await own.health())["components"]["spans"]["details"]
        assert (details["stored_spans"], details["hot_bytes"]) == (0, 0)
        assert await own.ask("clear") == {"success": True}
        assert (await own.ask("list"))["total"] == 0
        own.take(span("t9", "new"))
        await own.written()
        assert await own.listed() == ["new"]


async def test_06_7_5_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with traced(tmp_path / "deep" / "traces") as own:
            own.take(span("t0", "a"))
            await own.written()
            folder = tmp_path / "deep" / "traces"
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["traces.sqlite3", "traces.sqlite3-wal", "traces.sqlite3-shm", "lock"], 0o600)


async def test_06_7_5_the_store_can_be_backed_up_checked_and_salvaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "observability" / "traces"
    async with traced(folder) as own:
        own.take(*(span("t", f"s{number}", "s0" if number else None, start=number) for number in range(50)))
        await own.written()
        assert store_command.run(["backup", str(tmp_path / "data"), str(tmp_path / "backup")]) == 0
    assert store_command.run(["restore", str(tmp_path / "backup"), str(tmp_path / "data")]) == 0
    assert store_command.run(["check", str(tmp_path / "data")]) == 0
    assert "traces.sqlite3: no damage found" in capsys.readouterr().out
    assert store_command.run(["salvage", str(folder), str(tmp_path / "new")]) == 0
    async with traced(tmp_path / "new") as again:
        answer = await again.ask("list", search_all_spans=True)
        assert (answer["total"], answer["storage"]["archive"]) == (50, "healthy")
        assert await again.listed() == ["s0"]


@pytest.mark.parametrize("broken", ["a file", "not a database", "newer"])
async def test_06_check_67_what_cannot_be_opened_is_left_alone(tmp_path: Path, broken: str) -> None:
    folder = tmp_path / "traces"
    if broken == "a file":
        folder.write_bytes(b"x")
        file = folder
    else:
        async with traced(folder) as own:
            own.take(span("t0", "old"))
            await own.written()
        file = folder / "traces.sqlite3"
        content = bytearray(file.read_bytes())
        if broken == "newer":
            content[60:64] = (99).to_bytes(4, "big")  # user_version
        else:
            content[:] = b"garbage" * 5_000
        file.write_bytes(content)
    before = file.read_bytes()
    async with traced(folder) as own:
        own.take(span("t1", "a"), span("t1", "b", "a"))
        answer = await own.ask("list")
        assert [each["span_id"] for each in answer["spans"]] == ["a"]
        storage = answer["storage"]
        assert (storage["archive"], storage["completeness"]) == ("degraded", "unknown")
        assert storage["last_error"].startswith(f"trace storage initialization failed for '{folder}': ")
        health = await own.health()
        assert health["status"] == "degraded"
        assert health["components"]["spans"]["details"]["archive"] == storage
        assert (await own.ask("clear")) == {"success": True}
    assert file.read_bytes() == before


async def test_06_7_5_on_a_full_disk_spans_stay_in_memory_until_there_is_space(
    tmp_path: Path, engine_log: pytest.LogCaptureFixture
) -> None:
    engine_log.set_level(logging.INFO, "iii")
    async with traced(tmp_path / "traces", memory_max_spans=2) as own:
        await own.pages(lambda pages: pages)
        own.take(*(span(f"t{number}", f"s{number}", attributes=[("text", "x" * 20_000)]) for number in range(5)))

        async def degraded() -> bool:
            return bool((await own.ask("list"))["storage"]["archive"] == "degraded")

        await own.until(degraded)
        answer = await own.ask("list")
        assert answer["total"] == 5  # not evicted: they are nowhere else
        assert "full" in answer["storage"]["last_error"]
        assert answer["storage"]["completeness"] == "complete"
        await own.pages(lambda pages: pages * 1_000)
        await own.written()
        answer = await own.ask("list")
        assert (answer["storage"]["archive"], answer["total"]) == ("healthy", 5)
    events = [getattr(record, "event", None) for record in engine_log.records]
    assert events.count("traces.archive_degraded") == events.count("traces.archive_recovered") == 1


async def test_06_7_5_a_disk_that_cannot_be_cleared_is_said(tmp_path: Path) -> None:
    """Nothing is removed: neither what is on disk, nor what waits for it, nor what is pending."""
    async with traced(tmp_path / "traces") as own:
        own.take(span("t1", "a"))
        await own.written()
        await own.write(lambda connection: connection.execute("DROP TRIGGER spans_removed").rowcount)
        own.take(span("t2", "b"), span("t3", "c", pending=True))
        for _ in range(2):
            with pytest.raises(iii.InvocationError) as failed:
                await own.ask("clear")
            assert failed.value.code == "trace_storage_clear_failed"
            assert "could not clear durable trace storage: " in str(failed.value)
            assert "; nothing was removed" in str(failed.value)
            assert sorted(await own.listed()) == ["a", "b", "c"]
        await own.written()
    async with traced(tmp_path / "traces") as own:
        assert sorted(await own.listed()) == ["a", "b"]


@pytest.mark.parametrize("is_refused", [False, True])
async def test_06_7_5_what_waits_while_the_disk_is_cleared_is_not_written_after_it(
    tmp_path: Path, is_refused: bool
) -> None:
    """It is written if that is refused."""
    async with traced(tmp_path) as own:
        archive, store = own.module.spans.archive, own.module.spans.store
        assert archive is not None
        assert store is not None
        own.take(span("t0", "first"))
        await own.written()
        if is_refused:
            await own.write(lambda connection: connection.execute("DROP TRIGGER spans_removed").rowcount)
        own.take(*(span(f"t{at}", f"s{at}") for at in range(2_000)))
        deque(own.module.spans.settled(), 0)  # packed: a batch is being written, the others wait
        cleared = [asyncio.get_running_loop().create_future() for _ in range(2)]
        for each in cleared:
            archive.clear(each.set_result)
        assert len(archive.unwritten()) == 2_000
        assert [error is not None for error in await asyncio.gather(*cleared)] == [is_refused] * 2
        if is_refused:
            await own.written()
            assert await own.found("SELECT count(*) FROM spans") == 2_001
            return
        assert archive.unwritten() == []
        assert await own.found("SELECT count(*) FROM spans") == 0
        assert await own.ask("clear") == {"success": True}
        assert (await own.ask("list"))["total"] == store.count == 0
        own.take(span("u", "next"))
        await own.written()
        assert await own.found("SELECT group_concat(span_id) FROM spans") == "next"


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, MemoryError])
@pytest.mark.parametrize(
    ("function", "request_"), [("list", {}), ("tree", {"trace_id": "t1"}), ("group_by", {"attribute": "n"})]
)
async def test_06_7_5_an_error_of_our_own_is_no_failure_of_the_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine_log: pytest.LogCaptureFixture,
    function: str,
    request_: dict[str, Any],
    error: type[Exception],
) -> None:
    """Its caller is told, the log has it, and the next question is asked of the disk again."""

    def failing(*_: Any, **__: Any) -> Any:
        raise error("our own")

    async with traced(tmp_path) as own:
        own.take(span("t1", "a", attributes=[("n", "7")]))
        await own.written()
        expected = await own.ask(function, **request_)
        with monkeypatch.context() as patch:
            for name in ("listed", "tree", "groups"):
                patch.setattr(Questions, name, failing)
            with pytest.raises(
                iii.InvocationError, match=r"internal error in engine::traces::.*; the engine's log has it"
            ):
                await own.ask(function, **request_)
        assert await own.ask(function, **request_) == expected
        assert expected["storage"]["archive"] == "healthy"
        assert (await own.health())["components"]["spans"]["status"] == "healthy"
    failed = [record for record in engine_log.records if record.levelno >= logging.WARNING]
    assert [getattr(record, "event", None) for record in failed] == ["engine.builtin_failed"]
    assert failed[0].exc_info is not None


async def test_06_7_5_a_span_without_a_facet_is_damage_of_the_disk(tmp_path: Path) -> None:
    async with traced(tmp_path) as own:
        own.take(span("t1", "a"))
        await own.written()
        await own.write(lambda connection: connection.execute("UPDATE spans SET facet = 99").rowcount)
        assert (await own.ask("tree", trace_id="t1"))["roots"][0]["span_id"] == "a"  # by the memory
        assert (await own.ask("list"))["storage"]["archive"] == "degraded"


async def test_06_7_5_a_corrupt_row_is_skipped(tmp_path: Path) -> None:
    async with traced(tmp_path / "traces", memory_max_spans=1) as own:
        own.take(span("t1", "good"), span("t1", "bad", "good"), span("t2", "also bad"))
        await own.written()
        own.take(span("t3", "new"))
        await own.written()
        await own.write(
            lambda connection: (
                connection.execute("UPDATE spans SET packed = x'ff00' WHERE span_id LIKE '%bad'").rowcount
            )
        )
        answer = await own.ask("list", search_all_spans=True)
        assert [each["span_id"] for each in answer["spans"]] == ["good", "new"]
        assert answer["storage"]["archive"] == "degraded"
        assert answer["storage"]["last_error"].startswith("corrupt trace payload skipped: ")
        (root,) = (await own.ask("tree", trace_id="t1"))["roots"]
        assert (root["span_id"], root["children"]) == ("good", [])


async def test_06_7_5_spans_that_arrived_before_the_disk_was_opened_are_written(tmp_path: Path) -> None:
    config = ObservabilityConfig(trace_storage=TraceStorageConfig(directory=str(tmp_path)))
    modules: list[Observability] = []

    def make(engine: Any) -> Observability:
        modules.append(Observability(engine, config))
        modules[0].signals.spans([span("t", "early")], Source.ENGINE)
        return modules[0]

    own = await Traced.opened(make)
    await own.written()
    for worker in own.workers:
        await worker.shutdown_async()
    await own.listener.close()
    await own.module.stop()
    async with traced(tmp_path) as again:
        assert await again.listed() == ["early"]


async def test_06_7_5_a_store_that_is_enabled_or_moved_gets_what_the_memory_has(tmp_path: Path) -> None:
    def config(folder: str | None, **more: Any) -> ObservabilityConfig:
        storage = None if folder is None else TraceStorageConfig(directory=str(tmp_path / folder), **more)
        return ObservabilityConfig(trace_storage=storage)

    async def opened(own: Traced, wanted: bool) -> None:
        async def done() -> bool:
            archive = own.module.spans.archive
            return (archive is not None and archive.opened) is wanted

        await own.until(done)

    own = await Traced.opened(lambda engine: Observability(engine, config(None)))
    own.take(span("t1", "a"), span("t1", "pending", "a", pending=True))
    assert (await own.ask("list"))["storage"]["archive"] == "disabled"
    own.module.apply(config("first"))
    await opened(own, True)
    own.take(span("t2", "b"))
    await own.written()
    first = own.module.spans.archive
    own.module.apply(config("first", retention_seconds=1_000, max_disk_bytes=67_108_864))
    assert (await own.ask("list"))["storage"]["max_disk_bytes"] == 67_108_864
    assert own.module.spans.archive is first  # limits alone open nothing again
    own.module.apply(config("other"))
    own.module.apply(config("second"))  # of several changes the last one counts
    await own.until(lambda: is_in(own, tmp_path / "second"))
    await own.written()
    assert await own.listed() == ["a", "b"]
    own.module.apply(config(None))
    await opened(own, False)
    assert await own.listed() == ["a", "b"]
    for worker in own.workers:
        await worker.shutdown_async()
    await own.listener.close()
    await own.module.stop()
    for folder in ("first", "second"):
        async with traced(tmp_path / folder) as again:
            answer = await again.ask("list")
            assert [each["span_id"] for each in answer["spans"]] == ["a", "b"]
            assert answer["storage"]["completeness"] == "complete"


async def is_in(own: Traced, folder: Path) -> bool:
    archive = own.module.spans.archive
    return archive is not None and archive.opened and archive.folder == folder


@pytest.mark.parametrize("version", [1, 2, 3, 4])
async def test_06_7_5_a_store_of_a_version_before_is_opened_and_written_down_by_and_by(
    tmp_path: Path, version: int
) -> None:
    count = 5 * blocks.SPANS
    store = sqlite3.connect(tmp_path / "traces.sqlite3", isolation_level=None)
    store.executescript(
        f"{';'.join(MIGRATIONS[:version])}; PRAGMA user_version = {version}; PRAGMA journal_mode = WAL; BEGIN"
    )
    packer = Packer()
    rows = (packer.row(span(f"t{at // 4}", f"s{at}", attributes=[("n", str(at % 512))])) for at in range(count))
    Tables(10**10).add(store, list(map(ArchivedSpan.of, rows)), 1)
    for block in blocks.unsealed(store) if version > 1 else ():
        blocks.seal(store, block, blocks.spans_of(store, block))
        if version > 2:
            if version == 3:
                store.execute(
                    "CREATE TEMP TABLE IF NOT EXISTS editions (id INTEGER PRIMARY KEY, edition INTEGER NOT NULL)"
                )
            columns.write_down(store, block, blocks.spans_of(store, block))
    store.execute("COMMIT")
    store.close()
    wanted = {"attributes": [["n", "7"]], "search_all_spans": True}
    async with traced(tmp_path) as own:
        first = await own.ask("list", **wanted)
        assert first["total"] == 4 * count // 512

        async def sealed() -> bool:
            return bool(await own.found("SELECT min((SELECT count(*) FROM blocks), (SELECT count(*) FROM sums))") == 4)

        await own.until(sealed)
        assert (await own.ask("list", **wanted))["spans"] == first["spans"]
        assert await own.listed(attributes=[["n", "none"]]) == []


async def test_06_7_5_what_lists_need_of_blocks_is_read_before_they_ask(tmp_path: Path) -> None:
    """After the start, and when a block is sealed."""
    packer = Packer()
    async with traced(tmp_path):
        pass
    store = sqlite3.connect(tmp_path / "traces.sqlite3", isolation_level=None)

    def add(first: int, last: int) -> None:
        rows = (
            packer.row(span(f"t{at // 4}", f"s{at}", attributes=[("n", str(at % 512))])) for at in range(first, last)
        )
        store.execute("BEGIN")
        Tables(10**10).add(store, list(map(ArchivedSpan.of, rows)), 1)
        store.execute("COMMIT")

    add(0, 4 * blocks.SPANS)
    async with traced(tmp_path) as own:
        await own.read_ahead(3)
        add(4 * blocks.SPANS, 5 * blocks.SPANS)
        own.take(*(span(f"u{at}", f"u{at}") for at in range(blocks.SPANS)))  # enough to look for blocks again
        await own.read_ahead(5)
        assert (await own.ask("list", attributes=[["n", "7"]], search_all_spans=True))["total"] == 80
    store.close()


async def test_06_7_5_blocks_that_the_disk_has_changed_are_written_down_again(
    tmp_path: Path, engine_log: pytest.LogCaptureFixture
) -> None:
    """Lists are right meanwhile, the store is healthy, and it is said once."""
    packer, wanted = Packer(), {"attributes": [["n", "7"]], "search_all_spans": True}
    async with traced(tmp_path) as own:
        rows = [packer.row(span(f"t{at // 4}", f"s{at}", attributes=[("n", str(at % 512))])) for at in range(10_240)]
        await own.write(lambda connection: Tables(10**10).add(connection, list(map(ArchivedSpan.of, rows)), 1))
    async with traced(tmp_path) as own:
        await own.read_ahead(4)
        expected = (await own.ask("list", **wanted))["spans"]
        assert len(expected) == 80
    all_sums = "SELECT group_concat(hex(packed)) FROM (SELECT packed FROM sums ORDER BY id)"
    for damage in ("UPDATE pairs SET packed = zeroblob(length(packed))", "UPDATE blocks SET owners = traces"):
        store = sqlite3.connect(tmp_path / "traces.sqlite3", isolation_level=None)
        whole = store.execute(all_sums).fetchone()[0]
        store.execute(damage)
        store.close()
        engine_log.clear()
        async with traced(tmp_path) as own:
            answer = await own.ask("list", **wanted)
            assert (answer["spans"], answer["storage"]["archive"]) == (expected, "healthy")

            async def sealed(own: Traced = own, whole: str = whole) -> bool:
                return bool(await own.found("SELECT count(*) FROM sums") == 4 and await own.found(all_sums) == whole)

            await own.until(sealed)
            await own.read_ahead(4)
            assert (await own.ask("list", **wanted))["spans"] == expected
        events = [getattr(record, "event", None) for record in engine_log.records]
        assert events.count("traces.blocks_damaged") == 1
