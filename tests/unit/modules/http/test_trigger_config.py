"""The `config` of an `http` trigger (03 §A3)."""

import json
from typing import Any

import pytest

from iii.modules.http.trigger_config import HttpTriggerConfig, read_trigger_config
from iii.protocol.errors import TriggerRegistrationFailed


def read(config: Any) -> HttpTriggerConfig:
    return read_trigger_config(json.dumps(config).encode())


def refusal(config: Any) -> str:
    with pytest.raises(TriggerRegistrationFailed) as error:
        read(config)
    return error.value.message


def test_03_check_8_the_method_is_get_unless_given_in_any_case() -> None:
    assert read({"api_path": "/a"}).http_method == "GET"
    assert read({"api_path": "/a", "http_method": "post"}).http_method == "POST"
    assert read({"api_path": "/a", "http_method": 7}).http_method == "GET"


@pytest.mark.parametrize("config", [None, {}, [], 7, "x", {"api_path": 7}, {"api_path": None}])
def test_03_check_16_a_path_is_required(config: Any) -> None:
    assert refusal(config) == "api_path is required for http triggers"


@pytest.mark.parametrize("method", ["TRACE", "connect", "BREW", ""])
def test_03_A3_methods_that_no_route_has(method: str) -> None:
    assert refusal({"api_path": "/a", "http_method": method}) == f"unsupported http_method '{method}'"


def test_03_A3_an_endless_method_is_shortened() -> None:
    assert refusal({"api_path": "/a", "http_method": "x" * 1000}).endswith("xxx… (1000 characters)'")


@pytest.mark.parametrize(
    ("wrong", "shown"), [("yes", '"yes"'), (1, "1"), ([], "[]"), ("x" * 300, f'"{"x" * 199}… (302 characters)')]
)
def test_P11_cancel_on_disconnect_is_true_or_false(wrong: Any, shown: str) -> None:
    text = f"cancel_on_disconnect must be true or false, got {shown}"
    assert refusal({"api_path": "/a", "cancel_on_disconnect": wrong}) == text


@pytest.mark.parametrize("given", [True, False, None])
def test_P11_without_cancel_on_disconnect_nothing_is_cancelled(given: bool | None) -> None:
    assert read({"api_path": "/a", "cancel_on_disconnect": given}).cancel_on_disconnect is (given is True)


def test_03_A3_what_has_the_wrong_type_counts_as_absent() -> None:
    config = read(
        {
            "api_path": "a", "condition_function_id": 5, "middleware_function_ids": ["m", 1, None, "n"],
            "public_webhook": True, "other": 1,
        }
    )  # fmt: skip
    assert config == HttpTriggerConfig(api_path="a", middleware_function_ids=("m", "n"))
    assert read({"api_path": "a", "middleware_function_ids": "m"}).middleware_function_ids == ()


def test_03_A3_the_older_name_of_the_condition() -> None:
    assert read({"api_path": "a", "_condition_path": "old"}).condition_function_id == "old"
    both = read({"api_path": "a", "_condition_path": "old", "condition_function_id": "new"})
    assert both.condition_function_id == "new"
