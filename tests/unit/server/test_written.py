"""Blocks with their placeholders as they are written (18 §2.1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from iii.modules.configuration.templates import AS_TEXT, filled
from iii.server import config_file

ENVIRONMENT = {
    "SECRET": "hunter2-hunter2",
    "DIGITS": "0123",
    "PIN": "123456",
    "PORT": "3200",
    "LIST": "[a, b]",
    "EMPTY": "",
}


def block_of(folder: Path, config: str) -> Any:
    path = folder / "config.yaml"
    path.write_text(f"workers:\n- name: iii-pubsub\n- name: iii-http\n  config: {{{config}}}\n")
    loaded = config_file.load(path, environment=ENVIRONMENT, stored={})
    return next(entry.block for entry in loaded.entries if entry.known.name == "iii-http")


@pytest.mark.parametrize(
    ("config", "block"),
    [
        ("port: ${PORT}", {"port": "${PORT}"}),
        ("port: ${NONE:3000}", {"port": "${NONE:3000}"}),
        ("host: 127.0.0.1", {"host": "127.0.0.1"}),
        ("not_found_function: 'a-${SECRET}-b'", {"not_found_function": "a-${SECRET}-b"}),
        ("not_found_function: '${PIN}'", {"not_found_function": f"${{PIN}}{AS_TEXT}"}),
        ("not_found_function: '${DIGITS}'", {"not_found_function": "${DIGITS}"}),
        ("cors: {allowed_origins: ${LIST}}", {"cors": {"allowed_origins": "${LIST}"}}),
        ("cors: {allowed_origins: ['${SECRET}', b]}", {"cors": {"allowed_origins": ["${SECRET}", "b"]}}),
        ("port: 32${NONE:0}0", {"port": 3200}),
        ("not_found_function: ${EMPTY}", {"not_found_function": None}),
    ],
)
def test_18_s2_1_a_block_has_its_placeholders_as_they_are_written(tmp_path: Path, config: str, block: Any) -> None:
    assert block_of(tmp_path, config) == block


def test_18_s2_1_what_is_written_fills_to_what_the_file_says(tmp_path: Path) -> None:
    written = block_of(
        tmp_path, "port: ${PORT}, host: '${PIN}', not_found_function: '${SECRET}', cors: {allowed_origins: ${LIST}}"
    )
    result = filled(msgspec.json.encode(written), ENVIRONMENT)
    assert msgspec.json.decode(result.value) == {
        "port": 3200, "host": "123456", "not_found_function": "hunter2-hunter2", "cors": {"allowed_origins": ["a", "b"]},
    }  # fmt: skip
    assert dict(result.variables) == {name: ENVIRONMENT[name] for name in ("PORT", "PIN", "SECRET", "LIST")}


@pytest.mark.parametrize(
    "text", ["workers: ${ALL}\n", "workers:\n- ${ONE}\n", "workers:\n- {name: iii-http, config: ${BLOCK}}\n"]
)
def test_18_s2_1_what_one_placeholder_is_for_more_than_one_value_is_filled(tmp_path: Path, text: str) -> None:
    environment = {
        "ALL": "[{name: iii-http, config: {port: 3200}}]",
        "ONE": "{name: iii-http, config: {port: 3200}}",
        "BLOCK": "{port: 3200}",
    }
    path = tmp_path / "config.yaml"
    path.write_text(text)
    loaded = config_file.load(path, environment=environment, stored={})
    (block,) = (entry.block for entry in loaded.entries if entry.known.name == "iii-http")
    whole = "one variable holds the whole module, so its settings are shown and stored with their values"
    assert (block, [whole in each for each in loaded.warnings]) in [({"port": 3200}, [True]), ("${BLOCK}", [])]
