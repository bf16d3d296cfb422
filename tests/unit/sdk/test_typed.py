"""Types are kept or refused, never dropped (bugs 6, issue 12 kind 11): many shapes of hints, each with what fits and what does not."""

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import threading
import typing
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Required, TypedDict, TypeVar

import annotated_types
import msgspec
import pydantic
import pydantic.v1
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.errors import InvalidRequest
from iii.sdk.schema import schema
from iii.sdk.typed import payload_reader, typed

T = TypeVar("T")


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    id: int


class Box(msgspec.Struct, Generic[T]):
    content: T


@dataclasses.dataclass
class Card:
    number: str


@dataclasses.dataclass
class Cash:
    amount: int


@dataclasses.dataclass
class Bounded:
    age: Annotated[int, pydantic.Field(ge=0)]


@dataclasses.dataclass
class WithDefault:
    age: int = pydantic.Field(default=1, ge=0)


@pydantic.dataclasses.dataclass
class Checked:
    age: Annotated[int, annotated_types.Ge(0)]


class Model(pydantic.BaseModel):
    id: int


class Other(pydantic.BaseModel):
    name: str


class CardModel(pydantic.BaseModel):
    kind: Literal["card"]
    number: str


class CashModel(pydantic.BaseModel):
    kind: Literal["cash"]
    amount: int


class Old(pydantic.v1.BaseModel):
    id: int


class OldOther(pydantic.v1.BaseModel):
    name: str


class Page(pydantic.BaseModel, Generic[T]):
    rows: list[T]


class Holder(msgspec.Struct):
    model: Model | None
    old: Old | None = None


class Partly(TypedDict, total=False):
    id: Required[int]
    note: str


class Point(NamedTuple):
    x: int
    y: int


class Color(enum.Enum):
    RED = "red"


class Share(enum.Enum):
    HALF = 0.5


class UserId(str): ...


class Age(int): ...


class Named(msgspec.Struct):
    id: UserId


UserNumber = NewType("UserNumber", int)
Told = Annotated[CardModel | CashModel, pydantic.Field(discriminator="kind")]

KEPT = [  # hint, JSON that fits, its value, JSON that does not, the path of what is wrong
    (int, "1", 1, '"1"', ""),
    (Cat | Dog, '{"type":"Dog","name":"Rex"}', Dog("Rex"), '{"type":"Cow"}', "$.type"),
    (Box[int], '{"content":1}', Box(1), '{"content":"x"}', "$.content"),
    (list[Card], '[{"number":"1"}]', [Card("1")], '[{"number":1}]', "$[0].number"),
    (Card | Cash, '{"amount":3}', Cash(3), '{"amount":"3"}', "`$.amount`"),
    (dict[str, Card | Cash | None], '{"a":{"amount":3}}', {"a": Cash(3)}, '{"a":{"amount":"3"}}', "$.a"),
    (Bounded, '{"age":1}', Bounded(1), '{"age":-1}', "$.age"),
    (WithDefault, "{}", WithDefault(1), '{"age":-1}', "$.age"),
    (Checked, '{"age":1}', Checked(1), '{"age":-1}', "$.age"),
    (Model | Other, '{"name":"a"}', Other(name="a"), '{"name":1}', "`$.name`"),
    (Told, '{"kind":"cash","amount":3}', CashModel(kind="cash", amount=3), '{"kind":"cash","amount":"x"}', "`$.amount`"),
    (list[Told], '[{"kind":"card","number":"1"}]', [CardModel(kind="card", number="1")], '[{"kind":"x"}]', "$[0]"),
    (Model | None, "null", None, '{"id":"x"}', "$.id"),
    (dict[int, Model], '{"7":{"id":1}}', {7: Model(id=1)}, '{"7":{"id":"x"}}', "$.7.id"),
    (Page[Model], '{"rows":[{"id":1}]}', Page[Model](rows=[Model(id=1)]), '{"rows":[{}]}', "$.rows[0].id"),
    (Old, '{"id":1}', Old(id=1), '{"id":"x"}', "$.id"),
    (Old | OldOther, '{"name":"a"}', OldOther(name="a"), "{}", "$.name"),
    (list[Old], '[{"id":1}]', [Old(id=1)], '[{"id":"x"}]', "$[0].id"),
    (Holder, '{"model":{"id":1}}', Holder(Model(id=1)), '{"model":{"id":"x"}}', "$.model.id"),
    (Holder, '{"model":null,"old":{"id":1}}', Holder(None, Old(id=1)), '{"model":null,"old":{}}', "$.old.id"),
    (Annotated[int, msgspec.Meta(ge=1)], "1", 1, "0", ""),
    (Annotated[int, pydantic.Field(ge=1)], "1", 1, "0", "$"),
    (Annotated[list[Model], msgspec.Meta(max_length=1)], "[]", [], '[{"id":1},{"id":2}]', ""),
    (list[Annotated[str, annotated_types.MinLen(2)]], '["ab"]', ["ab"], '["a"]', "$[0]"),
    (pydantic.PositiveInt, "1", 1, "0", "$"),
    (Partly, '{"id":1}', {"id": 1}, '{"note":"x"}', ""),
    (Point, "[1,2]", Point(1, 2), '[1,"x"]', "$[1]"),
    (Literal["a", 1], '"a"', "a", '"b"', ""),
    (Literal[True], "true", True, "false", "$"),
    (Color, '"red"', Color.RED, '"green"', ""),
    (Share, "0.5", Share.HALF, "0.6", "$"),
    (UserNumber, "1", 1, '"1"', ""),
    (UserId, '"a"', UserId("a"), "1", ""),
    (Age | None, "7", Age(7), "true", ""),
    (Named, '{"id":"a"}', Named(UserId("a")), '{"id":1}', "$.id"),
    (dict[uuid.UUID, int], '{"00000000-0000-0000-0000-000000000001":1}', {uuid.UUID(int=1): 1}, '{"a":1}', "key"),
    (datetime.date | None, '"2026-01-02"', datetime.date(2026, 1, 2), '"x"', ""),
    (decimal.Decimal, '"1.5"', decimal.Decimal("1.5"), '"x"', ""),
    (collections.abc.Sequence[int], "[1]", [1], '["x"]', "$[0]"),
    (Strict, '{"id":1,"_caller_worker_id":"w"}', Strict(1), '{"id":1,"x":1,"_caller_worker_id":"w"}', ""),
]  # fmt: skip


def read(hint: Any, json: str) -> Any:
    reader = payload_reader(hint)
    assert reader is not None
    return reader(json.encode())


@pytest.mark.parametrize(("hint", "fits", "value", "other", "path"), KEPT, ids=lambda each: str(each)[:60])
def test_bugs_6_a_payload_is_what_the_hint_says_or_refused(
    hint: Any, fits: str, value: Any, other: str, path: str
) -> None:
    found = read(hint, fits)
    assert found == value
    assert type(found) is type(value)
    with pytest.raises(InvalidRequest) as refused:
        read(hint, other)
    assert path in refused.value.message
    assert schema(typed(hint))


@dataclasses.dataclass
class Unresolved:
    receipt: "Receipt"  # type: ignore[name-defined]  # noqa: F821


class Mixed(msgspec.Struct):
    age: Annotated[int, pydantic.Field(ge=0)]


@dataclasses.dataclass(init=False)
class OwnInit:
    a: int

    def __init__(self, a: int) -> None:
        self.a = a + 1


class Untagged(msgspec.Struct):
    a: int


class Untagged2(msgspec.Struct):
    b: int


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (Unresolved, "a field of Unresolved cannot be resolved: the name 'Receipt' is not defined there"),
        (list[Unresolved], "the name 'Receipt' is not defined"),
        (Mixed, "would be dropped"),
        (list[Annotated[Box[int], pydantic.Field(max_length=1)]], "would be dropped"),
        (Untagged | Untagged2, "tag"),
        (Old | Model, "cannot be decoded from JSON"),
        (threading.Thread, "Thread'> does not define how to decode it; use a dataclass, a TypedDict, .*, or Any$"),
        (list[threading.Thread], "cannot be decoded from JSON"),
        (Cat | Card, "cannot be decoded from JSON"),
        (collections.abc.Iterator[int], "is an iterator type"),
        (typing.Iterable[int], "is an iterator type"),
        (dict[tuple[int, int], str], "keys of a type that JSON does not allow"),
        (typing.Callable[[int], int], "cannot be decoded from JSON"),
        (Literal[Color.RED], "use their values"),
        (OwnInit, "has an __init__ of its own"),
    ],
    ids=str,
)
def test_bugs_6_a_hint_that_would_be_dropped_is_refused_when_it_is_registered(hint: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        typed(hint)


def test_all_that_is_wrong_is_told_within_bounds() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(list[Model], str([{} for _ in range(30)]))
    assert refused.value.message.startswith("Field required - at `$[0].id`; Field required - at `$[1].id`; ")
    assert refused.value.message.endswith("; and 20 more")


class Wanted(pydantic.BaseModel):
    """Whose fields say what they want."""

    number: int = 0
    text: str = ""


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ('{"number": [1]}', "Input should be a valid integer, got `array` - at `$.number`"),
        ('{"number": null}', "Input should be a valid integer, got `null` - at `$.number`"),
        ('{"text": true}', "Input should be a valid string, got `bool` - at `$.text`"),
        ('{"number": "x"}', "Input should be a valid integer, unable to parse string as an integer - at `$.number`"),
    ],
)
def test_08_s7_3_a_value_of_a_wrong_type_is_told_with_its_own(sent: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(Wanted, sent)
    assert refused.value.message == message


def test_text_of_a_request_becomes_what_the_hint_says() -> None:
    for hint, text, value in [
        (int, "7", 7),
        (Age, "7", Age(7)),
        (Annotated[int, pydantic.Field(ge=1)], "7", 7),
        (UserId | None, "a", UserId("a")),
        (Literal[True], "true", True),
    ]:
        kind = typed(hint)
        assert kind is not None
        assert kind.is_scalar
        assert kind.from_text(text) == value
    assert not any(kind is None or kind.is_scalar for kind in map(typed, (Model, list[int], Card | Cash, Old, Told)))


def test_two_classes_of_one_name_are_two_definitions() -> None:
    class Item(msgspec.Struct):
        a: int

    struct: Any = Item

    class Item(pydantic.BaseModel):  # type: ignore[no-redef]
        b: int

    described = schema(typed(tuple[struct, Item]))
    assert described is not None
    assert sorted(described["$defs"]) == ["Item", "Item_model"]
    first, second = described["prefixItems"]
    assert described["$defs"][first["$ref"].removeprefix("#/$defs/")]["properties"].keys() == {"a"}
    assert described["$defs"][second["$ref"].removeprefix("#/$defs/")]["properties"].keys() == {"b"}


SCALARS = {
    int: st.integers(-(2**53), 2**53),
    str: st.text(),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def shapes(draw: st.DrawFn, depth: int = 2) -> tuple[Any, Any, Any]:
    """A hint, a value of it, and the value's plain form."""
    kinds = ["scalar", "list", "dict", "optional", "struct", "model", "old"]
    kind = draw(st.sampled_from([*kinds, "card"] if depth == 2 else kinds if depth else ["scalar"]))
    if kind == "scalar":
        hint = draw(st.sampled_from(list(SCALARS)))
        value = draw(SCALARS[hint])
        return hint, value, value
    inner: Any
    inner, value, plain = draw(shapes(depth=depth - 1))
    match kind:
        case "list":
            return list[inner], [value], [plain]
        case "dict":
            return dict[str, inner], {"k": value}, {"k": plain}
        case "optional":
            return inner | None, value, plain
        case "struct":
            struct = msgspec.defstruct("Generated", [("x", inner)])
            return struct, struct(value), {"x": plain}
        case "card":
            return Card | Cash | list[Card], Cash(3), {"amount": 3}
        case "model":
            return tuple[Model, int], (Model(id=1), 2), [{"id": 1}, 2]
    return list[Old], [Old(id=1)], [{"id": 1}]


@given(shapes())
def test_bugs_6_any_shape_of_hints_reads_its_own_values(shape: tuple[Any, Any, Any]) -> None:
    hint, value, plain = shape
    found = read(hint, msgspec.json.encode(plain).decode())
    assert found == value
    assert type(found) is type(value)
