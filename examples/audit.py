"""An app that reacts to calls of others, which know nothing of it: an audit log, a cache, and an alert."""

from typing import Any

from msgspec import Struct

import iii

app = iii.App("audit")
prices: dict[str, float] = {}  # of this process


class Order(Struct):
    article: str
    total: float


class Receipt(Struct):
    order_id: str


class Change(Struct):
    article: str


@app.observe("orders::create", on="complete", capture=["input", "output", "error", "caller"])
async def record(call: iii.Observed[Order, Receipt]) -> None:
    """Each order, and each that failed, with who asked for it."""
    entry = {
        "order": call.output.order_id if call.status == "success" else None,
        "total": call.input.total,
        "error": call.error.code if call.error is not None else None,
        "by": call.caller.worker_name if call.caller is not None else None,
        "at_ms": call.started_at_ms,
    }
    await app.state("audit").set_async(call.invocation_id, entry)


@app.observe("prices::set", deliver="input")
async def forget(change: Change) -> None:
    """A price has changed: the cached one is wrong."""
    prices.pop(change.article, None)


@app.observe("orders::create", where={"input.total": {"$gte": 10_000}}, capture=["input"])
async def big(call: iii.Observed[Order, Any]) -> None:
    await app.trigger_async({"function_id": "publish", "payload": {"topic": "orders.big", "data": call.input.article}})


@app.function("audit::price")
async def price(change: Change) -> float:
    if change.article not in prices:
        found = await app.trigger_async({"function_id": "prices::get", "payload": {"article": change.article}})
        prices[change.article] = found
    return prices[change.article]


if __name__ == "__main__":
    app.run()
