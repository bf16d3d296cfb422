"""Names for engines: which one a command asks, and what it shows there (22 §6)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from iii.cli import context
from iii.cli.address import Address, add_address_options, address_of
from iii.cli.context_place import contexts_file
from iii.cli.parser import CommandFailed, Parser

TOKEN = "t" * 30
KEPT = ("--url", "ws://prod:1", "--server-name", "engine")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("III_URL", "III_CONTEXT", "III_TOKEN", "III_TOKEN_FILE", "III_CA_FILE", "III_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def asked(*arguments: str) -> Address:
    parser = Parser("iii some", "", "")
    add_address_options(parser)
    return address_of(parser.parse(arguments), parser)


def kept(name: str, *options: str) -> None:
    assert context.run(["add", name, *options]) == 0


def test_22_6_an_option_wins_over_the_environment_that_over_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked().url == "ws://localhost:49134"
    kept("prod", *KEPT)
    kept("test", "--url", "ws://test:1")
    assert asked().url == "ws://localhost:49134"  # nothing is in use
    context.run(["use", "prod"])
    assert asked().url == "ws://prod:1"
    monkeypatch.setenv("III_CONTEXT", "test")
    assert asked().url == "ws://test:1"
    monkeypatch.setenv("III_URL", "ws://there:1")
    assert asked().url == "ws://there:1"
    assert asked("--context", "prod").url == "ws://prod:1"
    assert asked("--context", "default").url == "ws://localhost:49134"
    assert asked("--url", "ws://here:1").url == "ws://here:1"
    assert asked("--port", "7").url == "ws://localhost:7"


def test_22_6_what_a_context_shows_is_for_its_own_address_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "token").write_text(TOKEN)
    kept("prod", *KEPT, "--token-file", str(folder / "token"))
    context.run(["use", "prod"])
    shown = asked()
    assert shown.headers is not None
    assert dict(shown.headers) == {"Authorization": f"Bearer {TOKEN}"}
    assert shown.tls == {"server_name": "engine"}
    assert (asked("--url", "ws://else:1").headers, asked("--url", "ws://else:1").tls) == (None, {})
    monkeypatch.setenv("III_URL", "ws://else:1")
    assert (asked().headers, asked().tls) == (None, {})


def test_22_6_the_environment_wins_over_a_context_unless_an_option_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROD_TOKEN", TOKEN)
    kept("prod", *KEPT, "--token-env", "PROD_TOKEN")
    context.run(["use", "prod"])
    monkeypatch.setenv("III_TOKEN", "x" * 30)
    monkeypatch.setenv("III_SERVER_NAME", "other")
    assert (asked().headers, asked().tls) == (None, {})  # those of the environment
    named = asked("--context", "prod")
    assert named.headers == {"Authorization": f"Bearer {TOKEN}"}
    assert named.tls == {"server_name": "engine"}
    assert asked("--context", "prod", "--server-name", "third").tls == {"server_name": "third"}
    monkeypatch.delenv("PROD_TOKEN")
    with pytest.raises(CommandFailed, match="context 'prod': environment variable PROD_TOKEN is not set"):
        asked("--context", "prod")


def test_22_6_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kept("prod", *KEPT)
    with pytest.raises(CommandFailed, match="--context: unknown context 'prd', did you mean 'prod'"):
        asked("--context", "prd")
    monkeypatch.setenv("III_CONTEXT", "x")
    with pytest.raises(CommandFailed, match="III_CONTEXT: unknown context 'x'; 'iii context list' shows all"):
        asked()


def test_22_6_one_of_them_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        asked("--context", "prod", "--url", "ws://here:1")
    assert "--url and --context are given; keep one" in capsys.readouterr().err


def test_22_6_the_file_is_for_its_user_and_has_no_token(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "token").write_text(TOKEN)
    kept("prod", *KEPT, "--token-file", str(folder / "token"))
    file = contexts_file()
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert [each.name for each in file.parent.iterdir()] == ["contexts.yaml"]  # nothing is left of the writing
    context.run(["use", "prod"])
    for arguments in (["list"], ["list", "--json"], ["show"], ["show", "prod", "--json"]):
        assert context.run(arguments) == 0
    assert TOKEN not in file.read_text() + capsys.readouterr().out
    context.run(["list", "--names"])
    assert capsys.readouterr().out == "prod\ndefault\n"
    context.run(["remove", "prod"])
    assert asked().url == "ws://localhost:49134"  # nor is it in use any more


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "default", "--url", "ws://h"], "NAME: 'default' is not allowed"),
        (["add", "a b", "--url", "ws://h"], "NAME: 'a b' is not allowed"),
        (["add", "a"], "--url is missing"),
        (["add", "a", "--url", "http://h"], "--url: expected ws://HOST:PORT or wss://HOST, got 'http://h'"),
        (["add", "a", "--url", "ws://u:p@h"], "--url: a user, password or query is not kept"),
        (["add", "a", "--url", "ws://h", "--client-cert", "x"], "--client-cert and --client-key belong together"),
        (["add", "a", "--url", "ws://h", "--token-env", "X", "--token-file", "x"], "--token-file and --token-env are given; keep one"),
        (["use", "a", "--url", "ws://h"], "--url is for 'add'"),
        (["use"], "wrong number of arguments"),
        (["ad", "x"], "unknown command 'iii context ad'"),
    ],
)  # fmt: skip
def test_22_6_wrong_usage(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        context.run(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("content", ["contexts: [", "current: 2020-99-99"])
def test_22_6_a_broken_file_is_named(content: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = contexts_file()
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(CommandFailed, match=f"{file}: not a file of contexts"):
        asked()
    with pytest.raises(CommandFailed, match="cannot read /nix/da"):
        context.run(["add", "a", "--url", "ws://h", "--ca-file", "/nix/da"])


def test_08_4_9_a_token_is_one_line_and_not_further_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("III_TOKEN", f"{TOKEN}\r\nX-Forwarded-For: 10.0.0.1")
    with pytest.raises(CommandFailed, match="III_TOKEN: it is not text of one line") as refused:
        asked()
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_22_6_a_file_that_others_may_write_is_refused(mode: int) -> None:
    kept("prod", *KEPT)
    contexts_file().chmod(mode)

    with pytest.raises(CommandFailed) as refused:
        asked("--context", "prod")

    assert f"mode {mode:04o}" in str(refused.value)
    assert f"chmod 600 {contexts_file()}" in str(refused.value)
    contexts_file().chmod(0o644)
    assert asked("--context", "prod").url == "ws://prod:1"


def test_22_6_a_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kept("prod", *KEPT)
    owner = contexts_file().stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    if owner == 0:  # root's files are believed, as its programs are
        assert asked("--context", "prod").url == "ws://prod:1"
        os.chown(contexts_file(), 12_345, -1)

    with pytest.raises(CommandFailed, match="belongs to another user"):
        asked("--context", "prod")


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("ws://far.example:1", True),
        ("WS://10.1.2.3:1", True),
        ("ws://localhost:1", False),
        ("ws://127.0.0.9:1", False),
        ("ws://[::1]:1", False),
    ],
)
def test_22_5_a_token_that_others_can_read_is_warned_of(
    url: str, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked("--url", url)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("III_TOKEN", TOKEN)

    asked("--url", url)

    said = capsys.readouterr().err
    assert ("unencrypted" in said) is warned
    assert ("use wss://" in said) is warned
    assert TOKEN not in said
