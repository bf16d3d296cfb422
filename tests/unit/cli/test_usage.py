"""Usage of the `iii` command: help, hints, exit codes; no engine needed (07 §8.1, §8.4)."""

import gc
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from iii.cli import COMMANDS, main
from iii.cli.serve import build_parser
from iii.protocol.versions import PACKAGE_VERSION


def run(line: str) -> int:
    """Run `iii …` and return its exit code."""
    try:
        return main(shlex.split(line))
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("III_URL", raising=False)


@pytest.mark.parametrize("line", ["--version", "-v", "--no-update-check -v"])
def test_07_check_60_version_prints_only_the_version(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0
    assert capsys.readouterr() == (f"{PACKAGE_VERSION}\n", "")


def test_07_check_60_start_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("start") == 2
    assert capsys.readouterr() == ("", "error: unknown command 'start'; to run the engine: iii\nTry 'iii --help'.\n")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("install", "unknown command 'install'; to run the engine: iii"),
        ("dashboard", "unknown command 'dashboard'; to run the engine: iii"),
        ("triger f", "unknown command 'triger', did you mean 'trigger'?"),
        ("--bogus", "unknown option '--bogus'"),
        ("--confg x.yaml", "unknown option '--confg', did you mean '--config'?"),
        ("--port 5000", "unknown option '--port'"),
        ("--bogus trigger f", "unknown option '--bogus'"),
        ("--confg=x.yaml", "unknown option '--confg', did you mean '--config'?"),
        ("--config", "-c/--config: expected one argument"),
        ("-c x.yaml --use-default-config", "--use-default-config and --config are both given; keep one"),
        ("-c a.yaml -c b.yaml", "--config is given 2 times (a.yaml, b.yaml); keep one"),
        ("update foo", "unknown target 'foo'; known: iii"),
        ("update ii", "unknown target 'ii', did you mean 'iii'?"),
        ("-c ''", "--config: expected the name of a file, got nothing"),
        ("--host ''", "--host: expected a host name or address, got nothing"),
        ("-c x.yaml trigger f", "'-c' is for running the engine, not for 'iii trigger'"),
        ("worker lst", "unknown command 'iii worker lst', did you mean 'list'?"),
        ("worker start", "unknown command 'iii worker start'"),
        ("worker list extra", "unexpected argument 'extra'"),
        ("codegen java", "unknown command 'iii codegen java' (expected python or typescript)"),
        ("codegen", "the following arguments are required: LANGUAGE"),
        ("publish", "the following arguments are required: TOPIC"),
        ("publish --durable", "the following arguments are required: TOPIC"),
        ("trigger fire", "the following arguments are required: TRIGGER"),
        ("codegen python -n ''", "--namespace: expected a name, got nothing"),
        ("function list --jsn", "unknown option '--jsn', did you mean '--json'?"),
        ("trigger f --jsn '[1]'", "unknown option '--jsn', did you mean '--json'?"),
        ("trigger f --json", "--json: expected one argument"),
        ("trigger f --timeout-ms 0", "--timeout-ms/--timeout: expected milliseconds of 1 or more, got '0'"),
        ("trigger f --port 70000", "--port: expected a port from 1 to 65535, got '70000'"),
        ("trigger f --url http://x", "--url: expected ws://HOST:PORT or wss://HOST, got 'http://x'"),
        ("trigger f --url ws://x:y", "--url: expected ws://HOST:PORT or wss://HOST, got 'ws://x:y'"),
        ("trigger f --url ws://x --port 1", "--url and --address or --port are given; keep one"),
        ("trigger f --address ws://x", "--address: expected a host name or address, got 'ws://x'; for a URL use --url"),
        ("trigger f a=\udcff", "the arguments are not UTF-8 text"),
        ("trigger \udcff", "the arguments are not UTF-8 text"),
        ("trigger --payload {}", "--payload needs --function-id ID"),
        ("trigger --function-id f g", "both --function-id and FUNCTION_PATH ('g') are given; keep one"),
        ("trigger f --json 1 --payload 1", "both --json and --payload are given; keep one"),
    ],
)
def test_07_s8_1_wrong_usage_is_one_line_and_a_hint(line: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 2
    output, told = capsys.readouterr()
    assert output == ""
    assert told.splitlines()[0].startswith(f"error: {error}")
    assert told.splitlines()[1].startswith("Try 'iii")
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("trigger ' '", "iii trigger: missing FUNCTION_PATH. Try: "),
        ("trigger a=1", "iii trigger: missing FUNCTION_PATH. Try: "),
        ("trigger f word", "expected key=value, got 'word'"),
        ("trigger f =v", "payload key must not be empty (got '=v')"),
        ("trigger f --json [1] a=1", "--json must be an object when combined with kv pairs"),
        ("trigger f a=1 --json [1] b=2", "--json must be an object when combined with kv pairs"),
        ("trigger f --json nope", "--json: invalid JSON: "),
        ("trigger --function-id f --payload nope", "Invalid JSON payload: "),
        ("trigger f --namespace ''", "namespace is empty: "),
        ("t f word", "expected key=value, got 'word'"),
    ],
)
def test_07_check_61_mistakes_are_told_before_connecting(
    line: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line) == 1
    output, told = capsys.readouterr()
    assert output == ""
    assert told.startswith(f"Error: {text}")
    assert told.count("\n") == 1


_GROUPS = {  # one that is misspelt, and what it is taken for
    "worker": ("lsit", "list"),
    "function": ("cal", "call"),
    "observer": ("lst", "list"),
    "state": ("watc", "watch"),
    "queue": ("lsit", "list"),
    "cron": ("nxt", "next"),
    "stream": ("tial", "tail"),
    "config": ("chek", "check"),
    "store": ("bakup", "backup"),
    "token": ("crate", "create"),
    "context": ("ad", "add"),
    "completion": ("bahs", "bash"),
}
_SINGLE = {
    "trigger", "t", "routes", "health", "metrics", "logs", "traces", "trace", "top", "publish", "codegen", "console", "init",
    "dev", "update",
}  # fmt: skip


@pytest.mark.parametrize("group", _GROUPS)
def test_07_s8_1_a_group_alone_prints_its_help(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group) == 2
    output, told = capsys.readouterr()
    assert output.startswith(f"usage: iii {group} ")
    assert _GROUPS[group][1] in output
    assert told == ""


@pytest.mark.parametrize("more", ["", " x"])
@pytest.mark.parametrize("group", _GROUPS)
def test_07_s8_1_an_unknown_subcommand_names_the_one_that_was_meant(
    group: str, more: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong, meant = _GROUPS[group]
    assert run(f"{group} {wrong}{more}") == 2
    output, told = capsys.readouterr()
    assert output == ""
    assert told == f"error: unknown command 'iii {group} {wrong}', did you mean '{meant}'?\nTry 'iii {group} --help'.\n"


@pytest.mark.parametrize("group", _GROUPS)
def test_07_s8_1_an_unknown_subcommand_names_all(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{group} xyzzy") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: unknown command 'iii {group} xyzzy' (expected ")
    assert _GROUPS[group][1] in told


def test_07_s8_1_every_command_is_a_group_or_none() -> None:
    assert _GROUPS.keys() | _SINGLE == set(COMMANDS)


def test_07_check_61_trigger_alone_prints_its_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trigger") == 1
    output, told = capsys.readouterr()
    assert output.startswith("usage: iii trigger FUNCTION_PATH")
    assert told == "Error: iii trigger: missing FUNCTION_PATH. Try: iii trigger math::add a=2 b=3\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--help", ["config.yaml", "trigger", "worker list", "function list", "examples:", "III_HOST"]),
        ("-h", ["--use-default-config"]),
        ("--help trigger", ["commands:"]),
        ("trigger --help", ["FUNCTION_PATH", "KEY=VALUE", "30000", "III_TOKEN", "examples:"]),
        ("worker -h", ["iii worker list", "iii worker drain ID|NAME"]),
        ("worker drain -h", ["ID|NAME", "--timeout-s", "--namespace", "30", "exit codes:"]),
        ("worker list --help", ["--json", "--all", "49134"]),
        ("function list -h", ["--json", "--search"]),
    ],
)
def test_07_s8_1_help_is_for_reading(line: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(line) == 0
    output, told = capsys.readouterr()
    assert told == ""
    assert [word for word in words if word not in output] == []
    assert max(map(len, output.splitlines())) <= 110


def test_a_bad_III_URL_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("III_URL", "localhost")
    assert run("trigger f") == 2
    assert "environment variable III_URL: expected ws://HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["trigger", "--help"], ["worker"], ["start"]])
def test_hot_options_load_nothing_heavy(arguments: list[str]) -> None:
    heavy = {
        "asyncio",
        "iii.engine",
        "iii.sdk",
        "iii.server",
        "importlib.metadata",
        "msgspec",
        "picows",
        "rich",
        "yaml",
    }
    script = (
        "import sys; from iii.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"sys.stderr.write(','.join(sorted({heavy!r} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines()[-1:] in ([], ["Try 'iii --help'."])


def test_24_s12_a_start_that_fails_leaves_the_collector_of_cycles_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "/nowhere/at/all.yaml"]) == 1
    assert gc.isenabled()
    assert "/nowhere" in capsys.readouterr().err


def test_output_that_a_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert run("trigger --help") == 0
    stream.flush()
    assert b"KEY=VALUE \\u2026" in written.getvalue()


def test_07_s8_1_update_says_how_and_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("update", "update iii", "update console"):
        assert run(line) == 0
        said = capsys.readouterr()
        assert "  git " in said.out
        assert "pip install --upgrade iii-py" not in said.out  # no index has it
        assert said.err == ""
    assert run("update --list-targets") == 0
    assert capsys.readouterr() == ("iii\n", "")
    assert run("update --bogus") == 2


@pytest.mark.parametrize(
    ("origin", "commands"),
    [
        (
            {"url": "file:///srv/my%20iii", "dir_info": {"editable": True}},
            "  git -C '/srv/my iii' pull\n  make -C '/srv/my iii' venv\n",
        ),
        (
            {"url": "file:///srv/iii", "dir_info": {}},
            f"  git -C /srv/iii pull\n  {sys.executable} -m pip install --upgrade '/srv/iii[engine]'\n",
        ),
        ({"url": "file:///tmp/iii_py-0.1.0-py3-none-any.whl", "archive_info": {}}, None),
        (None, None),
    ],
)
def test_07_s8_1_update_names_the_checkout(
    origin: object, commands: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return json.dumps(origin) if origin is not None else None

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Installed())
    assert run("update") == 0
    expected = commands or f"  git pull\n  {sys.executable} -m pip install --upgrade '.[engine]'\n"
    assert f"\n\n{expected}\n" in capsys.readouterr().out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("line", ["--version", "--help", "update"])
def test_output_that_cannot_be_written_is_one_line(line: str) -> None:
    """bugs.md, minor: no traceback."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "iii.cli", line], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: cannot write the output: No space left on device\n")


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_command_runs_with_closed_standard_streams(closed: str, tmp_path: Path) -> None:
    """It was a traceback, and what was opened next got their numbers."""
    told = tmp_path / "told"
    program = (
        "import sys; from iii.cli import main; code = main(['--version']); sys.stdin.read(); print('e', file=sys.stderr);"
        "file = open(sys.argv[1], 'w'); file.write(f'{code} {file.fileno() > 2}')"
    )
    script = f'exec "$0" -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, program, told], stdin=subprocess.DEVNULL, capture_output=True
    )
    assert done.returncode == 0
    assert told.read_text() == "0 True"


def test_every_command_stands_in_the_help_of_the_engine() -> None:
    listed = {
        line.split()[0] for line in build_parser().format_help().splitlines() if line.startswith("  ") and line.split()
    }
    assert {name for name in COMMANDS if len(name) > 1} <= listed
