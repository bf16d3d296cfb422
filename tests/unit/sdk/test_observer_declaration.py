"""What is wrong with an observer is raised where it is written (28 §1)."""

from collections.abc import Callable
from typing import Any

import pytest

import iii

MISTAKES: list[tuple[Callable[[Any], object], type[Exception], str]] = [
    (lambda app: app.observe(""), ValueError, "source is empty"),
    (lambda app: app.observe(7), TypeError, "source must be str"),
    (lambda app: app.observe("f", ""), ValueError, "target is empty"),
    (lambda app: app.observe("f", on="sucess"), ValueError, r"on must be one of .*\(did you mean 'success'\?\)"),
    (lambda app: app.observe("f", deliver="all"), ValueError, "deliver must be one of envelope, input, output"),
    (lambda app: app.observe("f", capture=["inputs"]), ValueError, "each part of capture must be one of input"),
    (lambda app: app.observe("f", capture="input"), TypeError, "capture must be a list of parts"),
    (lambda app: app.observe("f", where=[]), TypeError, "where must be a dict, got list"),
    (lambda app: app.observe("f", args=1), TypeError, "args must be a dict, got int"),
    (lambda app: app.observe("f", metadata=object()), TypeError, "is not JSON serializable"),
    (lambda app: app.observe("f", where={"input.a": {"$eq": {1, 2}}}), TypeError, "Object of type set"),
    (lambda app: app.observe("f", max_fires=0), ValueError, "max_fires must be at least 1"),
    (lambda app: app.observe("f", expires_in_ms=1.5), TypeError, "expires_in_ms must be int"),
    (lambda app: app.observe("f", max_in_flight=True), TypeError, "max_in_flight must be int"),
    (lambda app: app.observe("f", namespace=" "), ValueError, "namespace is empty"),
    (lambda app: app.observe("f", observer_id=""), ValueError, "observer_id is empty"),
    (lambda app: app.observe("f", wher={}), TypeError, "has no option 'wher': did you mean 'where'?"),
    (lambda app: app.observe("f", "g", function_id="h"), TypeError, "observe.. has the target 'g'"),
    (lambda app: app.observe(print), TypeError, "@app.observe takes the id of a function, in parentheses"),
]


@pytest.mark.parametrize(("declare", "kind", "text"), MISTAKES)
def test_28_check_14_a_mistake_is_raised_where_it_is_written(
    declare: Callable[[Any], object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        declare(iii.App("orders"))


def test_observers_of_an_app_are_data_until_it_is_connected() -> None:
    app = iii.App("orders")
    observer = app.observe("f", "g", observer_id="o")
    assert (observer.state, observer.reason) == ("pending", None)
    with pytest.raises(ValueError, match="observer id 'o' is already in use by this worker"):
        app.observe("f", "h", observer_id="o")
    assert app.declared.observers == [observer]
    observer.dispose()
    observer.dispose()
    assert app.declared.observers == []
    assert app.observe("f", "g", observer_id="o").state == "pending"


def test_a_decorated_function_stays_and_is_declared() -> None:
    app = iii.App("orders")

    @app.observe("orders::create")
    def audit(call: Any) -> None: ...

    @app.observe("orders::create", function_id="bill")
    def other(call: Any) -> None: ...

    assert callable(audit)
    assert list(app.declared.functions) == ["observe::audit", "bill"]
    assert [(each.declared.source, each.declared.target) for each in app.declared.observers] == [
        ("orders::create", "observe::audit"),
        ("orders::create", "bill"),
    ]
