"""Functions with types of every kind, for programs that are generated from them."""

import dataclasses
import enum
from typing import Annotated, Any, Literal

import msgspec
import pydantic

import iii


class Status(enum.Enum):
    OPEN = "open"
    PAID = "paid"


class Line(msgspec.Struct, rename="kebab"):
    """One line of an order."""

    unit_price: float
    quantity: Annotated[int, msgspec.Meta(description="How many.")] = 1
    class_: str | None = msgspec.field(name="class", default=None)


class Order(msgspec.Struct):
    id: int
    status: Status
    lines: list[Line]
    notes: dict[str, str] = {}
    point: tuple[float, float] | None = None
    list_: list[int] = msgspec.field(name="list", default_factory=list)


class Cat(msgspec.Struct, tag_field="kind", tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag_field="kind", tag="dog"):
    name: str


class Tree(msgspec.Struct):
    value: int
    children: "list[Tree]" = []


@dataclasses.dataclass
class Card:
    number: str


@dataclasses.dataclass
class Cash:
    amount: int


class Page(pydantic.BaseModel):
    title: str = 'Quotes """ and */ comments\n'
    size: Literal[10, 20] = 10


def register(worker: iii.Worker) -> None:
    """All of them."""

    @worker.function("shop::place-order")
    def place_order(order: Order) -> Order:
        '''Place "an order"; */ and """ end nothing here\\'''
        return msgspec.structs.replace(order, id=order.id + 1)

    @worker.function("shop::pet")
    def pet(pet: Cat | Dog) -> Cat | Dog | None:
        return Dog("Rex") if isinstance(pet, Cat) else None

    @worker.function("shop::pay")
    def pay(payment: Card | Cash) -> Literal["paid", "refused"]:
        return "paid" if isinstance(payment, Card) else "refused"

    @worker.function("shop::tree")
    def tree(tree: Tree) -> list[Tree]:
        return tree.children

    @worker.function("shop::forget")
    def forget(ids: list[int]) -> None: ...

    @worker.function("shop::page")
    def page(page: Page) -> dict[str, Page]:
        return {"first": page}

    @worker.function("shop::anything")
    def anything(data: Any) -> Any:
        return data["it"]

    @worker.function("shop::placeOrder")
    def another_place_order(data: int) -> int:
        return data
