"""Where each value comes from that modules run with (18 §4.2)."""

from pathlib import Path

from iii.server import config_file
from iii.server.effective import effective

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
