"""`iii queue …` against a running engine (issue 6; 04 §8, §9)."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import iii as sdk
from tests.compat.drivers import eventually
from tests.integration.cli.running import Iii, RunningEngine, running_engine
from tests.integration.cli.terminal import read_until
from tests.processes import environment

CONFIG = """\
- name: iii-queue
  config:
    queue_configs: {mails: {max_retries: 1}}
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    with running_engine(tmp_path_factory.mktemp("engine"), CONFIG) as running:
        yield running


@pytest.fixture
def worker(engine: RunningEngine) -> Iterator[sdk.Worker]:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="mailer", otel={"enabled": False}))
    yield worker
    worker.shutdown()


def rows(iii: Iii, engine: RunningEngine, *arguments: str) -> Any:
    return json.loads(iii("queue", *arguments, "--json", "--url", engine.url()).stdout)


def test_a_dead_letter_from_its_death_to_its_redrive(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    works: list[bool] = [False]
    sent: list[Any] = []

    @worker.function("mail::send")
    async def send(mail: Any) -> None:
        if not works[0]:
            raise sdk.InvocationError("SmtpError", "no such host")
        sent.append(mail)

    def failed(payload: Any) -> str:
        action = sdk.TriggerAction.Enqueue(queue="mails")
        receipt = worker.trigger({"function_id": "mail::send", "payload": payload, "action": action})
        return str(receipt["messageReceiptId"])

    @worker.on_queue("orders", max_retries=0)
    async def ship(order: Any) -> None: ...

    receipts = [failed({"to": name}) for name in ("ada", "bob", "cy")]
    eventually(lambda: len(rows(iii, engine, "dlq", "mails")) == 3)
    assert [letter["id"] for letter in rows(iii, engine, "dlq", "mails", "--limit", "2")] == receipts[:0:-1]
    listed = {row["name"]: row for row in rows(iii, engine, "list")}
    assert listed.keys() == {"default", "mails", "orders"}
    assert (listed["mails"]["kind"], listed["mails"]["dlq_depth"], listed["orders"]["kind"]) == ("queue", 3, "topic")
    table = iii("queue", "list", III_URL=engine.url()).stdout.splitlines()
    assert table[0].split() == ["NAME", "KIND", "CONSUMERS", "JOBS", "RUNNING", "DELAYED", "DEAD"]
    assert "mails    queue         10     0        0        0     3" in table
    assert iii("queue", "dlq", III_URL=engine.url()).stdout.split() == ["NAME", "DEAD", "mails", "3"]
    shown = iii("queue", "dlq", "mails", III_URL=engine.url()).stdout.splitlines()
    assert shown[0].split() == ["ID", "FAILED", "(UTC)", "FUNCTION", "ATTEMPTS", "ERROR", "PAYLOAD"]
    assert "mail::send" in shown[1]
    assert shown[1].startswith(receipts[2])
    assert "SmtpError: no such host" in shown[1]
    assert '{"to": "cy"}' in shown[1]
    assert json.loads(iii("queue", "stats", "mails", "--url", engine.url()).stdout)["config"]["max_retries"] == 1
    shown = iii("queue", "job", receipts[0], III_URL=engine.url()).stdout.splitlines()
    assert shown[:4] == [
        f"id:            {receipts[0]}", "state:         dead", "queue:         mails", "function id:   mail::send"
    ]  # fmt: skip
    assert shown[-2] == "error:         SmtpError: no such host"
    trace_id = rows(iii, engine, "job", receipts[0])["trace_id"]
    assert (len(trace_id), shown[-1]) == (32, f"trace id:      {trace_id}")
    done = iii("queue", "job", "nowhere", III_URL=engine.url())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: job_not_found: unknown job 'nowhere'")
    assert rows(iii, engine, "job", receipts[1])["state"] == "dead"
    works[0] = True
    done = iii("queue", "redrive", "mails", receipts[0], III_URL=engine.url())
    assert done.stdout == f"Dead letter '{receipts[0]}' of 'mails' will be retried.\n"
    done = iii("queue", "discard", "mails", receipts[1], III_URL=engine.url())
    assert done.stdout == f"Dead letter '{receipts[1]}' of 'mails' was removed.\n"
    done = iii("queue", "discard", "mails", receipts[1], III_URL=engine.url())
    assert (done.returncode, done.stderr) == (1, f"Error: unknown dead letter '{receipts[1]}' of 'mails'\n")
    done = iii("queue", "redrive", "mails", III_URL=engine.url())
    assert done.stdout == "1 dead letter of 'mails' will be retried.\n"
    eventually(lambda: sent == [{"to": "ada"}, {"to": "cy"}])
    assert iii("queue", "dlq", "mails", III_URL=engine.url()).stdout == "No dead letters in 'mails'.\n"
    assert iii("queue", "dlq", III_URL=engine.url()).stdout == "No dead letters.\n"
    for verb, *more in (["stats"], ["dlq"], ["redrive"], ["redrive", "id"], ["discard", "id"], ["unsubscribe", "f"]):
        done = iii("queue", verb, "mail", *more, III_URL=engine.url())
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "Error: unknown queue or topic 'mail', did you mean 'mails'?\n"


def test_a_subscription_whose_worker_will_not_come_back(iii: Iii, engine: RunningEngine) -> None:
    gone = sdk.register_worker(engine.url(), sdk.InitOptions(worker_name="gone", otel={"enabled": False}))
    gone.on_queue("parcels", function_id="old::name")(lambda data: None)
    eventually(lambda: any(row["name"] == "parcels" for row in rows(iii, engine, "list")))
    arguments = ("queue", "unsubscribe", "parcels", "old::name", "--url", engine.url())
    done = iii(*arguments)
    assert done.returncode == 1
    assert "'old::name' has no subscription to 'parcels' that a worker left behind" in done.stderr
    gone.shutdown()

    def destinations() -> Any:
        return json.loads(iii("queue", "stats", "parcels", "--url", engine.url()).stdout)["destinations"]

    eventually(lambda: destinations() == [{"function_id": "old::name", "namespace": "default", "triggers": 0}])
    done = iii(*arguments)
    assert done.stdout == "'old::name' is unsubscribed from 'parcels'; messages already queued for it are kept.\n"
    assert not any(row["name"] == "parcels" for row in rows(iii, engine, "list"))


def test_13_check_7_a_queue_is_paused_purged_and_resumed(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    seen: list[Any] = []
    worker.register_function("count", seen.append)

    def told(*arguments: str) -> str:
        done = iii("queue", *arguments, "--url", engine.url())
        assert (done.returncode, done.stderr) == (0, "")
        return str(done.stdout)

    def enqueue(number: int) -> None:
        action = sdk.TriggerAction.Enqueue(queue="mails")
        worker.trigger({"function_id": "count", "payload": number, "action": action})

    assert told("pause", "mails") == "'mails' is paused.\n"
    assert told("pause", "mails") == "'mails' is paused already.\n"
    enqueue(1)
    enqueue(2)
    assert rows(iii, engine, "stats", "mails")["depth"] == 2
    head, *lines = told("list").splitlines()
    assert head.split()[-1] == "PAUSED"
    assert [line.split()[-1] for line in lines if line.startswith("mails")] == ["yes"]
    assert told("purge", "mails", "--yes") == "2 jobs of 'mails' removed.\n"
    assert rows(iii, engine, "purge", "mails", "--yes") == {"queue": "mails", "purged": 0}
    receipt = worker.trigger(
        {"function_id": "count", "payload": 4, "action": sdk.TriggerAction.Enqueue(queue="mails")}
    )["messageReceiptId"]
    assert told("cancel", "mails", receipt) == f"Job '{receipt}' of 'mails' is cancelled.\n"
    done = iii("queue", "cancel", "mails", receipt, "--url", engine.url())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: job_not_found: unknown job '{receipt}' of 'mails'")
    assert told("resume", "mails") == "'mails' is running.\n"
    assert seen == []
    enqueue(3)
    eventually(lambda: seen == [3])
    assert not any(line.startswith("mails") and line.endswith("yes") for line in told("list").splitlines())
    for verb in ("pause", "resume", "purge"):
        done = iii("queue", verb, "mail", "--yes", "--url", engine.url())
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "Error: queue_not_found: unknown queue or topic 'mail', did you mean 'mails'?\n"


def test_on_a_terminal_a_purge_asks_first(engine: RunningEngine, worker: sdk.Worker, tmp_path: Path) -> None:
    delayed = sdk.TriggerAction.Enqueue(queue="mails", delay_ms=60_000)
    worker.trigger({"function_id": "count", "action": delayed})
    for answer, code, told in ((b"\n", 1, "Nothing removed."), (b"y\n", 0, "1 job of 'mails' removed.")):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "iii.cli", "queue", "purge", "mails", "--url", engine.url()]
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdin=theirs, stderr=theirs, stdout=theirs
        ) as process:
            os.close(theirs)
            assert "Remove 1 job of 'mails' for good? [y/N] " in read_until(ours, "[y/N] ")
            os.write(ours, answer)
            read_until(ours, told)
            assert process.wait(60) == code
        os.close(ours)


def test_without_the_module(iii: Iii, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_engine(tmp_path_factory.mktemp("engine"), "- {name: iii-cron}") as running:
        for module, arguments in (
            ("iii-queue", ("queue", "list")),
            ("iii-queue", ("publish", "orders", "--durable")),
            ("iii-pubsub", ("publish", "orders")),
            ("iii-state", ("state", "list")),
            ("iii-state", ("state", "watch", "orders")),
            ("iii-stream", ("stream", "list")),
            ("iii-stream", ("stream", "get", "chat", "room", "1")),
            ("iii-stream", ("stream", "tail", "chat")),
        ):
            done = iii(*arguments, III_URL=running.url())
            assert (done.returncode, done.stderr) == (
                1, f"Error: this engine does not run the module {module}; add `- name: {module}` to its configuration\n"
            )  # fmt: skip


def test_wrong_usage(iii: Iii) -> None:
    assert "Shows named queues" in iii("queue").stdout
    for arguments, text in (
        (("purse",), "unknown command 'iii queue purse', did you mean 'purge'?"),
        (("purge", "mails"), "purge removes jobs for good: add --yes to remove those of 'mails'"),
        (("redrive",), "wrong number of arguments; usage: iii queue redrive NAME [ID]"),
        (("stats",), "wrong number of arguments; usage: iii queue stats NAME"),
        (("dlq", "x", "--limit", "-1"), "--limit: expected a whole number from 0 to 1000000000, got -1"),
        (("dlq", "x", "--offset", "9" * 20), f"--offset: expected a whole number from 0 to 1000000000, got {'9' * 20}"),
    ):
        done = iii("queue", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert text in done.stderr
    done = iii("queue", "list", "--port", "1", "--timeout-ms", "2000")
    assert (done.returncode, done.stdout) == (1, "")


def test_a_queue_whose_jobs_wait_for_a_function_names_it(iii: Iii, engine: RunningEngine, worker: sdk.Worker) -> None:
    action = sdk.TriggerAction.Enqueue(queue="default")
    worker.trigger({"function_id": "nobody::serves", "payload": {}, "action": action})
    eventually(lambda: any(row["waiting_for"] == ["nobody::serves"] for row in rows(iii, engine, "list")))
    table = iii("queue", "list", III_URL=engine.url()).stdout.splitlines()
    assert table[0].endswith("WAITS FOR")
    assert any(line.endswith("nobody::serves") for line in table[1:])
    assert iii("queue", "purge", "default", "--yes", III_URL=engine.url()).returncode == 0
