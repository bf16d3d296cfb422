"""Orders: placed over HTTP, kept in shared state, shown live on a page, confirmed by mail, counted once a day."""

import os
import uuid
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, to_builtins

import iii

STREAM_URL = os.environ.get("SHOP_STREAM_URL", "ws://127.0.0.1:3112")
PAGE = Path(__file__).with_name("page.html")

app = iii.App("orders", replicas="round_robin")


class NewOrder(Struct, forbid_unknown_fields=True):
    """What a customer sends."""

    article: Annotated[str, Meta(min_length=1)]
    mail_to: Annotated[str, Meta(pattern="@")]
    pieces: Annotated[int, Meta(ge=1, le=100)] = 1


class Order(Struct):
    id: str
    article: str
    mail_to: str
    pieces: int
    status: str = "placed"


@app.http("GET", "/")
async def page() -> iii.HttpResponse:
    """The page that follows all orders."""
    html = PAGE.read_text().replace("STREAM_URL", STREAM_URL)
    return iii.HttpResponse(200, html, {"content-type": "text/html; charset=utf-8"})


@app.http("POST", "/orders")
async def place(new: NewOrder) -> iii.HttpResponse:
    """Place an order; its confirmation is a job, which survives whatever happens to the mail server."""
    order = Order(str(uuid.uuid4()), new.article, new.mail_to, new.pieces)
    await app.state("orders").set_async(order.id, to_builtins(order))
    await app.trigger_async(
        {
            "function_id": "mail::confirm",
            "payload": {"order_id": order.id, "to": order.mail_to, "text": f"{order.pieces} × {order.article}"},
            "action": iii.TriggerAction.Enqueue(queue="mail"),
        }
    )
    return iii.HttpResponse(201, to_builtins(order), {"location": f"/orders/{order.id}"})


@app.http("GET", "/orders/:order_id")
async def show(order_id: str) -> iii.HttpResponse:
    """One order."""
    order = await app.state("orders").get_async(order_id)
    return iii.HttpResponse(404, {"error": "no such order"}) if order is None else iii.HttpResponse(200, order)


@app.function("orders::confirmed")
async def confirmed(done: dict[str, Any]) -> None:
    """The customer has the mail; called by the worker that sends it."""
    await app.state("orders").update_async(done["order_id"], iii.UpdateOp.set("status", "confirmed"))


@app.on_state("orders")
async def changed(event: iii.StateEvent) -> None:
    """Every change of an order, whoever made it, reaches the page."""
    await app.stream("orders", "all").set_async(event.key, event.new_value)


@app.cron("0 6 * * *", timezone="Europe/Berlin")
async def count(event: dict[str, Any]) -> None:
    """Tell whoever subscribes how many orders there are."""
    orders = await app.state("orders").values_async()
    waiting = sum(order["status"] == "placed" for order in orders)
    await app.trigger_async(
        {
            "function_id": "publish",
            "payload": {"topic": "orders.counted", "data": {"orders": len(orders), "waiting": waiting}},
        }
    )


if __name__ == "__main__":
    app.run()
