"""`iii config show --running` and `iii config diff` (18 §4.3)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iii.cli import main
from tests.processes import EngineProcess

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-state, config: {max_value_bytes: 7, adapter: {name: kv, config: {file_path: /tmp/secret@x}}}}
"""


def test_18_s4_3_an_engine_is_compared_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with EngineProcess(tmp_path, config=CONFIG) as engine:
        other = tmp_path / "other.yaml"
        text = engine.config_path.read_text()
        assert main(["config", "diff", str(engine.config_path), "--url", engine.url]) == 0
        assert capsys.readouterr().out == "No difference.\n"
        other.write_text(text.replace("bytes: 7", "bytes: 9") + "  - {name: iii-pubsub}\n")
        assert main(["config", "diff", str(other), "--url", engine.url, "--json"]) == 1
        told = {(row["module"], row["key"]): row for row in json.loads(capsys.readouterr().out)}
        state = told["iii-state", "max_value_bytes"]
        assert (state["running"], state["file"], state["origin"]) == (7, 9, f"{other}:3")
        assert state["takes_effect"] == "at once"
        assert told["iii-pubsub", "adapter.name"]["takes_effect"] == "when the module starts"
        assert {module for module, _ in told} == {"iii-state", "iii-pubsub"}
        assert main(["config", "show", "--running", "--url", engine.url, "--json"]) == 0
        shown = capsys.readouterr().out
        rows = {(row["module"], row["key"]): row for row in json.loads(shown)}
        assert rows["iii-state", "max_value_bytes"]["origin"] == f"{engine.config_path}:3"
        assert "secret" not in shown
        other.write_text("workers: [")
        assert main(["config", "diff", str(other), "--url", engine.url]) == 1
        assert "not valid YAML" in capsys.readouterr().err
