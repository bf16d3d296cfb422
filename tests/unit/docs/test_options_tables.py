"""The tables of the configuration page: from the Structs, all of them, as YAML writes it."""

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from docs.generator import options_tables
from docs.generator.options_tables import missing_tables, shown_tables, structs

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def rows(page: str, name: str) -> list[str]:
    """Of the table of one Struct."""
    block = next(each for each in options_tables.BLOCK.finditer(page) if each["struct"] == name)
    return [line for line in block[0].splitlines() if line.startswith("| `")]


def test_the_page_shows_a_table_of_every_struct_and_a_text_of_every_option() -> None:
    assert len(structs()) > 15
    assert [*missing_tables(PAGE.read_text())] == []


def test_a_page_without_a_table_is_found() -> None:
    page = PAGE.read_text().replace("<!-- options HttpConfig -->", "")
    assert [text for text in missing_tables(page) if "no table of HttpConfig" in text]


def test_an_option_without_a_text_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(Struct):
        told: Annotated[int, Meta(description="A number.")] = 1
        untold: int = 1

    monkeypatch.setattr(options_tables, "structs", lambda: {"Bare": Bare})
    assert [text.partition(":")[0] for text in missing_tables("<!-- options Bare -->\n<!-- end -->")] == [
        "Bare.untold has no description"
    ]


@pytest.mark.parametrize(
    ("struct", "row"),
    [
        ("HttpConfig", "| `port` | integer, 0 to 65535 | `3111` | "),
        ("HttpConfig", "| `openapi` | boolean | `false` | "),
        ("HttpConfig", "| `body_limit` | integer, at least 0 |  | "),
        ("HttpConfig", "| `middleware` | list of mappings | `[]` | "),
        ("HttpConfig", "| `body_memory` | integer, at least 1048576 | `268435456` (256 MiB) | "),
        ("HttpConfig", "| `trust_proxy` | boolean | `false` | "),
        ("CorsConfig", "| `allowed_origins` | list of texts | `[]` | "),
        ("QueueConfig", "| `adapter` | mapping | `{name: builtin}` | "),
        ("QueueConfig", "| `delivery` | `fan_out`, `compete` | `fan_out` | "),
        ("NamedQueueConfig", "| `max_priority` | integer, 0 to 255 |  | "),
        ("NamedQueueConfig", "| `poll_interval_ms` |  |  | Accepted without effect: "),
        ("NamedQueueConfig", "| `backoff_ms` | integer, at least 0 | `1000` | "),
        ("MiddlewareConfig", "| `function_id` | text | required | "),
        ("ObservabilityConfig", "| `logs_sampling_ratio` | number, 0 to 1 | `1.0` | "),
        ("AdapterConfig", "| `class` | text |  | "),
    ],
)  # fmt: skip
def test_a_row_has_type_bounds_and_default_as_yaml_writes_them(struct: str, row: str) -> None:
    page = shown_tables(f"<!-- options {struct} -->\n<!-- end -->")
    assert [line for line in rows(page, struct) if line.startswith(row)]


def test_options_without_effect_share_a_row_a_reason() -> None:
    page = shown_tables("<!-- options TelemetryConfig -->\n<!-- end -->")
    assert rows(page, "TelemetryConfig") == [
        "| `enabled`, `sdk_api_key`, `heartbeat_interval_secs` |  |  | "
        "Accepted without effect: no product telemetry is ever sent. |"
    ]


def test_modules_and_adapters_have_their_older_names() -> None:
    assert "| `iii-http` or `http` | without a list of modules; where listed | `modules::api::RestApiModule` |" in (
        shown_tables("<!-- modules -->\n<!-- end -->")
    )
    backends = shown_tables("<!-- adapters -->\n<!-- end -->")
    assert "| iii-state | `kv` (default) | `modules::state::adapters::KvStore` |  |" in backends
    assert "`held_messages`: topics keep no messages; use builtin or rabbitmq" in backends


def test_a_filled_block_is_filled_again_the_same() -> None:
    page = shown_tables(PAGE.read_text())
    assert shown_tables(page) == page
