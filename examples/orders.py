"""A service: an order comes over HTTP, is kept in shared state, and is confirmed by a job."""

from msgspec import Struct

import iii

app = iii.App("orders")


class Order(Struct):
    article: str
    status: str = "placed"


@app.http("PUT", "/orders/:order_id")
async def place(order_id: str, order: Order) -> Order:
    await app.state("orders").set_async(order_id, {"article": order.article, "status": order.status})
    confirm = iii.TriggerAction.Enqueue(queue="default")  # on disk before the answer, retried until it succeeds
    await app.trigger_async({"function_id": "orders::confirm", "payload": {"order_id": order_id}, "action": confirm})
    return order


@app.http("GET", "/orders/:order_id")
async def show(order_id: str) -> Order | None:
    return await app.state("orders").get_async(order_id, returns=Order)


@app.function("orders::confirm")
async def confirm(job: dict[str, str]) -> None:
    await app.state("orders").update_async(job["order_id"], iii.UpdateOp.set("status", "confirmed"))


if __name__ == "__main__":
    app.run()
