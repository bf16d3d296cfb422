"""What is passed on as the engine answers it is what the types of the pages say (23 §5): those have no Struct to be made of here."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, inspect

from iii.engine.discovery.function_rows import FunctionDetail
from iii.engine.discovery.worker_rows import WorkerRow
from iii.modules.observability.records import LogRecord
from iii.modules.observability.spans.requests import ListedSpan
from iii.modules.queue.requests import TopicStats
from tests.integration.console.consoles import Browser, eventually


def misfits(row: dict[str, Any], struct: type[Struct], *more: str, without: str = "") -> set[str]:
    """Members that the one has and the other has not."""
    shape = inspect.type_info(struct)
    assert isinstance(shape, inspect.StructType)
    fields = {field.encode_name: field for field in shape.fields if field.encode_name != without}
    left_out = struct.__struct_config__.omit_defaults
    needed = {
        name
        for name, field in fields.items()
        if field.required or (not left_out and (field.default, field.default_factory) != (msgspec.NODEFAULT,) * 2)
    }
    return (row.keys() - fields.keys() - set(more)) | (needed - row.keys()) | (set(more) - row.keys())


async def test_rows_that_are_passed_on(browser: Browser) -> None:
    called = await browser.call("math::add", {"a": 1, "b": 2})
    listed = {"trace_ids": [called["trace_id"]], "search_all_spans": True}
    spans = (
        await eventually(
            lambda: browser.post("/api/v1/ask", {"function_id": "engine::traces::list", "payload": listed}),
            lambda found: found["spans"],
        )
    )["spans"]
    tree = (await browser.ask("engine::traces::tree", {"trace_id": called["trace_id"]}))["roots"]
    logs = (await browser.ask("engine::logs::list", {"limit": 50}))["logs"]
    workers = (await browser.get("/api/v1/workers?internal=true")).body["rows"]
    queues = (await browser.get("/api/v1/queues")).body["rows"]
    function = (await browser.get("/api/v1/function?id=math::add")).body["function"]

    assert [found for row in spans if (found := misfits(row, ListedSpan))] == []
    assert [found for row in tree if (found := misfits(row, ListedSpan, "children"))] == []
    assert [found for row in logs if (found := misfits(row, LogRecord))] == []
    assert [found for row in workers if (found := misfits(row, WorkerRow, without="functions"))] == []
    assert [found for row in queues if (found := misfits(row, TopicStats, "name", "broker_type"))] == []
    assert misfits(function, FunctionDetail, "internal") == set()
    assert min(map(len, (spans, tree, logs, workers, queues))) > 0
