"""`iii config check` and `show` (18 §4)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from iii.cli import main

FILE = """\
workers:
  - name: iii-http
    config: {port: 70000, bogus: 1, cors: {max_age: -1}, default_timeout: 0}
  - name: iii-stat
  - name: iii-queue
    config:
      queue_configs:
        mails: {concurrency: many}
        "other": {max_retries: x}
  - iii-cron
  - name: iii-state
    config: {adapter: {name: kw}}
port: -1
prot: 1
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("III_HOST", raising=False)


def test_18_s4_1_all_mistakes_are_told_at_once_each_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(FILE)
    assert main(["config", "check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    places = [line.removeprefix("error: config.yaml:").split(" ", 1)[0] for line in lines]
    assert places == ["14:", "10:", "13:", "4:", "3:", "3:", "3:", "3:", "8:", "9:", "12:"]
    text = "\n".join(lines)
    for part in (
        "'prot'",
        "write '- name: iii-cron'",
        "'iii-stat', did you mean 'iii-state'?",
        "'bogus'",
        "port: expected a whole number",
        "max_age",
        "default_timeout",
        "mails.concurrency",
        "other.max_retries",
        "'kw' not found",
    ):
        assert part in text


def test_18_s4_1_missing_variables_are_all_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("A_PORT", raising=False)
    Path("x.yaml").write_text('workers:\n  - name: iii-http\n    config: {port: "${A_PORT}", host: "${A_HOST}"}\n')
    assert main(["config", "check", "x.yaml", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert ["A_PORT" in told["mistakes"][0], "A_HOST" in told["mistakes"][1], len(told["mistakes"])] == [True, True, 2]


def test_18_s4_1_a_right_file_has_only_doubts(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text("workers:\n  - name: iii-http\n    stray: 1\n")
    assert main(["config", "check"]) == 0
    warning, last = capsys.readouterr().out.splitlines()
    assert warning.startswith("warning: config.yaml:3: workers[0] (iii-http): unknown key 'stray' is ignored")
    assert last == "config.yaml: no mistakes found, 6 modules"


def test_18_s4_1_no_file_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 1
    told = "error: Config file not found: 'config.yaml'; name the file, as in 'iii config check FILE'\n"
    assert capsys.readouterr().out == told
    assert main(["config", "check", "/dev/null"]) == 1
    assert capsys.readouterr().out.endswith("not a regular file; name the file, as in 'iii config check FILE'\n")


def test_18_s4_2_each_value_is_shown_with_its_origin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_MEMORY_MAX_SPANS", "77")
    monkeypatch.setenv("PORT", "4000")
    Path("config.yaml").write_text(
        "workers:\n  - name: iii-http\n    config:\n      port: ${PORT:1}\n      cors:\n        max_age: 5\n"
        "  - name: iii-state\n    config: {adapter: {name: redis, config: {redis_url: 'redis://u:secret@h'}}}\n"
    )
    assert main(["config", "show", "--json", "--host", "0.0.0.0"]) == 0
    shown = capsys.readouterr().out
    rows = {(row["module"], row["key"]): (row["value"], row["origin"]) for row in json.loads(shown)}
    assert rows["iii-http", "port"] == (4000, "config.yaml:4")
    assert rows["iii-http", "cors.max_age"] == (5, "config.yaml:6")
    assert rows["iii-http", "host"] == ("0.0.0.0", "--host")
    assert rows["iii-http", "default_timeout"] == (30_000, "default")
    assert rows["iii-observability", "memory_max_spans"] == (77, "environment")
    assert rows["iii-state", "adapter.config.redis_url"] == ("[hidden]", "config.yaml:8")
    assert "secret" not in shown
    assert main(["config", "show"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["MODULE", "KEY", "ORIGIN", "VALUE"]  # what may be long widens no other line
    assert ["iii-http", "default_timeout", "default", "30000"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("words", "error"),
    [([], ""), (["chekc"], "unknown command 'iii config chekc'"), (["check", "a", "b"], "unexpected argument 'b'")],
)
def test_18_s4_wrong_usage(words: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["config", *words])
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 2
    assert error in capsys.readouterr().err
