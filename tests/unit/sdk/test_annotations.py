"""What signatures say (08 §7.2, §9.6)."""

import functools
from typing import Annotated, Any

import pydantic
import pytest

from iii.sdk.annotations import NOTHING, Hints, read_plain
from iii.sdk.typed import payload_reader, pydantic_problems


class Service:
    def method(self, data: int) -> str:
        return ""

    def __call__(self, data: float) -> bool:
        return True


def broken(data: "Unheard") -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def broken_inside(data: list["Unheard"]) -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def broken_metadata(data: int, metadata: "Unheard") -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def broken_result(data: "int") -> "Unheard":  # type: ignore[name-defined]  # noqa: F821
    ...


def only_keywords(*, a: int) -> None: ...


def test_methods_objects_and_partials_have_the_hints_of_their_function() -> None:
    def two(prefix: str, data: int) -> str:
        return prefix

    assert Hints(Service().method).payload is int
    assert Hints(Service()).payload is float
    assert Hints(Service()).result is bool
    assert Hints(functools.partial(two, "p")).payload is int
    assert Hints(str).result is NOTHING


@pytest.mark.parametrize("handler", [broken, broken_inside, broken_metadata])
def test_bugs_6_a_hint_that_cannot_be_resolved_is_refused_by_its_names(handler: Any) -> None:
    with pytest.raises(
        TypeError, match=r"of parameter '(data|metadata)' cannot be resolved: the name 'Unheard' is not defined"
    ):
        Hints(handler)


def test_bugs_6_an_unknown_result_costs_the_response_schema_alone(caplog: pytest.LogCaptureFixture) -> None:
    hints = Hints(broken_result)

    assert hints.payload is int
    assert hints.result is Any
    assert "(function=broken_result, annotation='Unheard', reason=\"the name 'Unheard'" in caplog.text


def test_bugs_6_hints_see_what_is_around_their_function() -> None:
    """Classes of a running function, of the class around, and what the function itself closes over."""

    class Local: ...

    class Around:
        class Inner: ...

        def handler(self, data: "Inner", *, metadata: "Local | None" = None) -> None: ...

    assert Hints(Around().handler).payload is Around.Inner
    assert Hints(Around().handler).metadata == Local | None

    @functools.wraps(Around.handler)
    def wrapper(*args: Any, **options: Any) -> None: ...

    bound: Any = wrapper

    assert Hints(bound.__get__(Around())).payload is Around.Inner


def test_bugs_6_a_closure_outlives_its_function() -> None:
    def made() -> Any:
        class Closed: ...

        def handler(data: "Closed") -> Any:
            return Closed

        return handler

    handler = made()
    assert Hints(handler).payload is handler(None)


def test_a_name_of_a_closure_that_is_assigned_later_keeps_no_handler_from_being_read() -> None:
    def handler(data: "int") -> Any:
        return later

    hints = Hints(handler)
    later = 1
    assert (hints.payload, handler(0)) == (int, later)


def test_what_annotated_adds_is_kept_and_a_variadic_payload_has_its_hint() -> None:
    def bounded(data: Annotated[int, "seconds"]) -> None: ...
    def variadic(*payload: int) -> None: ...

    assert Hints(bounded).payload == Annotated[int, "seconds"]
    assert Hints(variadic).payload is int


def test_what_a_handler_takes() -> None:
    assert not Hints(only_keywords).takes_payload
    assert not Hints(lambda: None).takes_payload
    assert Hints(lambda *rest: None).takes_payload
    assert Hints(print).takes_payload
    assert Hints(type("Untold", (), {"__call__": print, "__signature__": "no"})()).takes_payload


def test_a_default_is_seen() -> None:
    assert Hints(lambda data=5: data).payload_default == 5
    assert Hints(lambda data: data).payload_default is NOTHING


def test_json_that_is_not_quite_json_is_read() -> None:
    assert read_plain(b'[NaN, -Infinity, "NaN"]') == [None, None, "NaN"]
    with pytest.raises(ValueError, match=r"malformed|truncated|invalid"):
        read_plain(b"{")


def test_the_path_of_a_pydantic_complaint() -> None:
    class Model(pydantic.BaseModel):
        rows: list[dict[str, int]]

    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate({"rows": [{"a": 1}, {"b": "x"}]})
    assert pydantic_problems(caught.value, {"rows": [{"a": 1}, {"b": "x"}]}).endswith("- at `$.rows[1].b`")


def test_a_hint_that_says_nothing_reads_plain_json() -> None:
    assert payload_reader(Any) is None
    assert payload_reader(object) is None
    assert payload_reader(NOTHING) is None
