"""`iii state` and `iii stream tail` against a running engine (issue 5)."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import aiohttp
import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine, running_engine
from tests.processes import environment


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(
        tmp_path_factory.mktemp("engine"), "- {name: iii-state}\n- {name: iii-stream, config: {port: 0}}"
    ) as running:
        yield running


def test_values_are_set_got_and_listed(iii: Iii, engine: RunningEngine) -> None:
    def state(*arguments: str) -> tuple[int, str, str]:
        done = iii("state", *arguments, "--url", engine.url())
        return done.returncode, done.stdout, done.stderr

    assert state("list") == (0, "No scopes.\n", "")
    assert state("list", "s") == (0, "No keys in scope 's'.\n", "")
    assert state("set", "orders", "7", '{"a": 1}') == (0, "", "")
    assert state("set", "orders", "8", "just text") == (0, "", "")
    assert state("set", "orders", "9", "null") == (0, "", "")
    code, out, _ = state("get", "orders", "7")
    assert (code, json.loads(out)) == (0, {"a": 1})
    assert state("get", "orders", "8")[1] == '"just text"\n'
    assert state("get", "orders", "9")[:2] == (0, "null\n")
    assert state("get", "orders", "x") == (1, "", "Error: unknown key 'x' in scope 'orders'\n")
    assert state("set", "orders", "status", "open") == (0, "", "")
    assert state("get", "orders", "staus")[2].endswith("'staus' in scope 'orders', did you mean 'status'?\n")
    assert state("get", "oders", "status")[2].endswith("'status' in scope 'oders', did you mean 'orders'?\n")
    assert state("list", "oders")[1] == "No keys in scope 'oders', did you mean 'orders'?\n"
    assert state("list", "oders", "--keys")[1] == "No keys in scope 'oders', did you mean 'orders'?\n"
    assert state("delete", "orders", "status") == (0, "", "")
    assert state("get", "nowhere", "x") == (1, "", "Error: unknown key 'x' in scope 'nowhere'\n")
    assert state("get", "orders", "9")[:2] == (0, "null\n"), "asking changed nothing"
    assert [line.split() for line in state("list")[1].splitlines()] == [["SCOPE"], ["orders"]]
    assert json.loads(state("list", "--json")[1]) == ["orders"]
    assert state("list", "orders")[1].splitlines()[1].split() == ["7", '{"a":', "1}"]
    assert json.loads(state("list", "orders", "--json")[1]) == {"7": {"a": 1}, "8": "just text", "9": None}


def test_durable_M4_what_JSON_cannot_say_is_text(iii: Iii, engine: RunningEngine) -> None:
    for text in ("NaN", "1e999", "[NaN]"):
        assert iii("state", "set", "odd", "k", text, "--url", engine.url()).returncode == 0
        assert json.loads(iii("state", "get", "odd", "k", "--url", engine.url()).stdout) == text
    big = "123456789012345678901234567890"
    iii("state", "set", "odd", "k", big, "--url", engine.url())
    assert iii("state", "get", "odd", "k", "--url", engine.url()).stdout == f"{big}\n"


def test_durable_M6_keys_alone_and_removal(iii: Iii, engine: RunningEngine) -> None:
    for key in ("a", "b"):
        iii("state", "set", "few", key, "1", "--url", engine.url())
    assert iii("state", "list", "few", "--keys", "--json", "--url", engine.url()).stdout.split() == [
        "[",
        '"a",',
        '"b"',
        "]",
    ]
    for _ in range(2):
        assert iii("state", "delete", "few", "a", "--url", engine.url()).returncode == 0
    assert iii("state", "list", "few", "--keys", "--url", engine.url()).stdout.split() == ["KEY", "b"]


def test_a_large_scope_is_listed_whole(iii: Iii, engine: RunningEngine) -> None:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="filler", otel={"enabled": False}))
    try:
        scope = worker.state("large")
        for number in range(1100):
            scope.set(f"k{number}", number)
    finally:
        worker.shutdown()
    listed = json.loads(iii("state", "list", "large", "--json", "--url", engine.url()).stdout)
    assert listed == {f"k{number}": number for number in range(1100)}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["state", "get", "s"], "wrong number of arguments; usage: iii state get SCOPE KEY"),
        (["state", "drop"], "unknown command 'iii state drop' (expected get, set, delete, list or watch)"),
        (["stream", "tail"], "wrong number of arguments; usage: iii stream tail NAME"),
        (
            ["stream", "head"],
            "unknown command 'iii stream head' (expected list, get, set, delete, send, subscribers or tail)",
        ),
    ],
)
def test_wrong_usage(iii: Iii, arguments: list[str], text: str) -> None:
    done = iii(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr


async def test_24_10_subscribers(iii: Iii, engine: RunningEngine) -> None:
    async def asked(*arguments: str) -> str:
        done = await asyncio.to_thread(iii, "stream", "subscribers", *arguments, "--url", engine.url())
        return done.stdout

    assert await asked("chat") == "No subscribers.\n"
    port = engine.wait_for(r"clients_connect_to\W+ws://[^:]+:(\d+)")[1]
    async with (
        aiohttp.ClientSession() as browser,
        browser.ws_connect(f"ws://127.0.0.1:{port}/stream/chat/room-1/m1") as client,
    ):
        await client.receive(timeout=60)  # the snapshot
        shown = (await asked("chat", "room-1")).splitlines()
        rows = json.loads(await asked("--json"))

    assert shown[0].split() == ["STREAM", "GROUP", "ITEM", "ADDRESS", "FOR", "ID"]
    assert shown[1].split()[:4] == ["chat", "room-1", "m1", "127.0.0.1"]
    assert [(row["stream_name"], row["group_id"], row["item_id"]) for row in rows] == [("chat", "room-1", "m1")]


def test_no_engine_and_no_arguments(iii: Iii) -> None:
    assert "get SCOPE KEY" in iii("state").stdout
    assert "tail NAME [GROUP]" in iii("stream").stdout
    assert [iii(noun).returncode for noun in ("state", "stream", "queue", "cron", "store", "worker")] == [2] * 6
    for arguments in (("state", "list"), ("state", "watch", "s"), ("stream", "tail", "chat")):
        done = iii(*arguments, "--port", "1")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: cannot connect to ws://localhost:1: connection refused. "), (
            "at once, alone"
        )
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("char", "stream 'char' has no items yet, did you mean 'chart'?\n"),
        ("xyz", "stream 'xyz' has no items yet; waiting for its first event\n"),
    ],
)
def test_a_stream_without_items_is_told(engine: RunningEngine, name: str, told: str) -> None:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="writer", otel={"enabled": False}))
    worker.stream("chart", "all").set("m1", {})
    command = [sys.executable, "-m", "iii.cli", "stream", "tail", name, "--url", engine.url()]
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        assert tail.stderr is not None
        assert tail.stderr.readline() == told
    finally:
        tail.kill()
        tail.communicate()
        worker.shutdown()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_group_is_followed(engine: RunningEngine, as_json: bool) -> None:
    command = [sys.executable, "-m", "iii.cli", "stream", "tail", "chat", "room", "--url", engine.url()]
    command += ["--json"] if as_json else []
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="talker", otel={"enabled": False}))
    tail = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        while not any(trigger.trigger_type == "stream" for trigger in worker.list_triggers(include_internal=True)):
            assert tail.poll() is None
        room = worker.stream("chat", "room")
        room.set("m1", {"text": "h\x1b[31mi"})
        room.send("typing", "Ada")
        room.delete("m1")
        assert tail.stdout is not None
        lines = [tail.stdout.readline() for _ in range(3)]
        os.kill(tail.pid, signal.SIGINT)
        assert tail.wait(60) == 130
    finally:
        tail.kill()
        tail.communicate()
        worker.shutdown()
    if as_json:
        assert [json.loads(line)["event"]["type"] for line in lines] == ["create", "event", "delete"]
    else:
        assert [line.split()[1:] for line in lines] == [
            ["create", "m1", '{"text":', '"h\\u001b[31mi"}'], ["typing", "-", '"Ada"'],
            ["delete", "m1", '{"text":', '"h\\u001b[31mi"}'],
        ]  # fmt: skip


def test_items_of_streams_are_read_and_written(iii: Iii, engine: RunningEngine) -> None:
    def stream(*arguments: str) -> tuple[int, str, str]:
        done = iii("stream", *arguments, "--url", engine.url())
        return done.returncode, done.stdout, done.stderr

    assert stream("set", "board", "g1", "i1", '{"n": 1}') == (0, "", "")
    assert stream("set", "board", "g1", "i2", "text") == (0, "", "")
    assert json.loads(stream("get", "board", "g1", "i1")[1]) == {"n": 1}
    assert json.loads(stream("list", "board", "g1")[1]) == [{"n": 1}, "text"]
    assert ["board", "g1"] in [line.split() for line in stream("list")[1].splitlines()]
    assert {"id": "board", "groups": ["g1"]} in json.loads(stream("list", "--json")[1])
    assert stream("delete", "board", "g1", "i1") == (0, "", "")
    assert stream("get", "board", "g1", "i1") == (1, "", "Error: unknown item 'i1' in group 'g1' of stream 'board'\n")
    assert stream("send", "board", "g1", "typing", '"Ada"') == (0, "", "")
    assert stream("send", "board", "g1", "typing") == (0, "", "")


@pytest.mark.parametrize("as_json", [False, True])
def test_changes_of_a_scope_are_followed(engine: RunningEngine, as_json: bool) -> None:
    command = [sys.executable, "-m", "iii.cli", "state", "watch", "watched", "--url", engine.url()]
    command += ["--json"] if as_json else []
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="setter", otel={"enabled": False}))
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    try:
        while not any(trigger.trigger_type == "state" for trigger in worker.list_triggers(include_internal=True)):
            assert watch.poll() is None
        scope = worker.state("watched")
        scope.set("k", 1)
        worker.state("other").set("k", 1)
        scope.set("k", 2)
        scope.delete("k")
        assert watch.stdout is not None
        lines = [watch.stdout.readline() for _ in range(3)]
        os.kill(watch.pid, signal.SIGINT)
        assert watch.wait(60) == 130
    finally:
        watch.kill()
        _, said = watch.communicate()
        worker.shutdown()
    assert said == "scope 'watched' has no keys yet; waiting for its first change\n"
    if as_json:
        told = [json.loads(line)["event_type"] for line in lines]
        assert told == ["state:created", "state:updated", "state:deleted"]
    else:
        assert [line.split()[1:] for line in lines] == [
            ["created", "k", "1"],
            ["updated", "k", "2"],
            ["deleted", "k", "2"],
        ]
