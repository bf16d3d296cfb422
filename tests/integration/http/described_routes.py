"""A worker's routes with all that a document has to say: unions, models of pydantic, defaults, bytes, streams, look-alikes."""

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pydantic

import iii


class Cat(msgspec.Struct, tag=True):
    lives: int = 9
    friend: "Cat | Dog | None" = None


class Dog(msgspec.Struct, tag=True):
    name: str


class Item(pydantic.BaseModel):
    name: str
    price: Annotated[float, pydantic.Field(gt=0)]
    parts: list["Item"] = []


class Card(pydantic.BaseModel):
    kind: Literal["card"]
    number: str


class Cash(pydantic.BaseModel):
    kind: Literal["cash"]
    amount: int


@dataclass
class Order:
    id: int
    note: str | None = None


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def describe(worker: iii.Worker) -> None:
    @worker.http("POST", "/oa/union")
    def union(body: Cat | Dog) -> Cat | Dog:
        return body

    @worker.http("POST", "/oa/pay")
    def pay(body: Annotated[Card | Cash, pydantic.Field(discriminator="kind")]) -> None: ...

    @worker.http("POST", "/items")
    async def create(item: Item) -> Item:
        return item

    @worker.http("PUT", "/items/:id")
    def replace(id: int, item: Item, dry: bool = False) -> Item | None: ...

    @worker.http("GET", "/orders")
    def orders(
        limit: int = 20, color: Color = Color.RED, q: str | None = None,
        authorization: Annotated[str, iii.Header()] = "", x_trace: Annotated[str, iii.Header()] = "",
    ) -> list[Order]:  # fmt: skip
        return []

    @worker.http("GET", "/oa/:id.json")
    def named(request: iii.HttpRequest) -> iii.HttpResponse:
        return iii.HttpResponse(201, None)

    @worker.http("GET", "/amb/:p")
    def one(p: str) -> str:
        return p

    @worker.http("GET", "/amb/*p")
    def many(p: str) -> str:
        return p

    @worker.http("GET", "/users2/:id")
    def read(id: int) -> int:
        return id

    @worker.http("DELETE", "/users2/:userId")
    def delete(userId: int) -> None: ...

    @worker.http("POST", "/upload")
    async def upload(body: bytes) -> bytes:
        return body

    @worker.http("GET", "/events")
    async def events(response: iii.StreamResponse) -> None: ...

    def foreign(payload: Any) -> Any: ...

    worker.register_function(
        "foreign::tree", foreign,
        request_format={
            "type": "object",
            "properties": {
                "body": {
                    "$defs": {"Leaf/1": {"type": "string"}, "Error": {"$ref": "#/$defs/nothing"}},
                    "type": "object",
                    "properties": {
                        "leaf": {"$ref": "#/$defs/Leaf~11"}, "again": {"$ref": "#/properties/body"},
                        "error": {"$ref": "#/$defs/Error"}, "beside": {"$ref": "other.json"}, "$ref": {"type": "string"},
                    },
                }
            },
        },
    )  # fmt: skip
    worker.register_trigger(
        {"type": "http", "function_id": "foreign::tree", "config": {"api_path": "/tree", "http_method": "POST"}}
    )
