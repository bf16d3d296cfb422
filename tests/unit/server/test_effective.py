"""Where each value comes from that modules run with (18 §4.2)."""

from pathlib import Path

import pytest

from iii.server import config_file
from iii.server.effective import effective
from iii.server.stored_settings import StoredValue

FILE = """\
workers:
  - name: iii-state
    config:
      adapter: {name: bridge, config: {bridge_url: 'ws://127.0.0.1:1', token: abc}}
  - {name: iii-queue}
"""


def test_18_s4_2_options_of_an_adapter_that_nobody_set_have_their_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(FILE)
    found = effective(config_file.load(path, environment={}).entries)
    state = {each.key: each for each in found["iii-state"]}
    assert state["adapter.config.bridge_url"].origin == f"{path}:4"
    assert (state["adapter.config.timeout_ms"].value, state["adapter.config.timeout_ms"].origin) == (30_000, "default")
    assert state["adapter.config.token"].public == "[hidden]"
    assert {each.origin for name in ("iii-queue", "configuration", "iii-pubsub") for each in found.get(name, ())} == {
        "default"
    }


def test_18_s4_2_an_option_that_only_resembles_a_secret_is_shown(tmp_path: Path) -> None:
    """`server` is near `secret`; `iii config diff` told of no change of `server_header`."""
    path = tmp_path / "c.yaml"
    path.write_text("workers: [{name: iii-http, config: {server_header: shop}}]")
    found = effective(config_file.load(path, environment={}).entries)
    assert {each.key: each.public for each in found["iii-http"]}["server_header"] == "shop"


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ("{server_header: 'a ${HOOK_SECRET}'}", "[hidden]"),
        ("{server_header: '${HOOK_SECRET:shop}'}", "[hidden]"),
        ("${API_KEY_BLOCK}", "[hidden]"),
        ("{server_header: '${TITLE}'}", "Shop"),
    ],
)
def test_18_s4_2_the_value_of_a_variable_that_is_named_as_a_secret_is_hidden(
    tmp_path: Path, config: str, shown: str
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"workers: [{{name: iii-http, config: {config}}}]")
    environment = {"HOOK_SECRET": "hunter2", "TITLE": "Shop", "API_KEY_BLOCK": "{server_header: x}"}
    found = effective(config_file.load(path, environment=environment, stored={}).entries)
    public = {each.key: each.public for each in found["iii-http"]}
    assert public["server_header"] == shown


@pytest.mark.parametrize(("title", "shown"), [("${HOOK_SECRET}", "[hidden]"), ("Shop", "Shop")])
def test_18_s4_2_so_is_that_of_a_stored_value(tmp_path: Path, title: str, shown: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("workers: [{name: iii-http}]")
    value = StoredValue(
        {"server_header": title.replace("${HOOK_SECRET}", "hunter2")}, "s.yaml", (("HOOK_SECRET", "hunter2"),)
    )
    found = effective(config_file.load(path, environment={}, stored={"iii-http": value}).entries)
    assert {each.key: each.public for each in found["iii-http"]}["server_header"] == shown
