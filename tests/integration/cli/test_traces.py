"""`iii traces` and `iii trace` against a running engine (19 §3, §4)."""

import json
import time

import pytest

import iii as sdk
from tests.integration.cli.running import Iii, RunningEngine
from tests.integration.cli.sent_spans import attributes, failed, sent, take

FAILED, SLOW, OTHER, OPEN = "0af7" + "a" * 28, "0af8" + "b" * 28, "1c" * 16, "2d" * 16


@pytest.fixture(autouse=True)
def spans(engine: RunningEngine) -> None:
    worker = sdk.register_worker(engine.url(), sdk.InitOptions(otel={"enabled": False}))
    for function_id in ("engine::traces::clear", "engine::logs::clear"):
        worker.trigger({"function_id": function_id})
    worker.shutdown()
    now = time.time_ns()  # records of long ago are swept away
    take(
        engine.url(),
        sent(FAILED, "01" * 8, name="POST /orders", at_ms=1, took_ms=100),
        sent(FAILED, "02" * 8, "01" * 8, "execute orders::create", at_ms=20, took_ms=80, attributes=attributes(customer="7")),
        sent(FAILED, "03" * 8, "02" * 8, "execute cards::pay", at_ms=60, took_ms=40, **failed("ValueError", "no card\n\x1b[31m", "line 1\nline 2")),
        sent(SLOW, "04" * 8, name="nightly", at_ms=2, took_ms=2_500),
        sent(OTHER, "05" * 8, name="tick", at_ms=3, took_ms=0.25),
        logs=(
            {"severityNumber": 9, "body": {"stringValue": "packing"}, "traceId": FAILED, "spanId": "02" * 8, "timeUnixNano": str(now)},
            {"severityNumber": 13, "body": {"stringValue": "stray"}, "traceId": FAILED, "spanId": "99" * 8, "timeUnixNano": str(now + 1)},
        ),
    )  # fmt: skip


def names(iii: Iii, engine: RunningEngine, *arguments: str) -> list[str]:
    """Names of the spans that are listed."""
    done = iii("traces", "--json", "--url", engine.url(), *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return [row["name"] for row in json.loads(done.stdout)]


def test_19_3_traces_are_listed_newest_first_with_what_failed_in_them(iii: Iii, engine: RunningEngine) -> None:
    done = iii("traces", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head == ["TRACE", "STARTED", "DURATION", "ERRORS", "SERVICE", "NAME"]
    assert [(row[0], row[4:]) for row in rows] == [
        (OTHER, ["0.25", "ms", "shop", "tick"]),
        (SLOW, ["2.50", "s", "shop", "nightly"]),
        (FAILED, ["100", "ms", "1", "shop", "POST", "/orders"]),
    ]


def test_19_3_traces_are_chosen(iii: Iii, engine: RunningEngine) -> None:
    assert names(iii, engine, "--slow") == ["nightly", "POST /orders", "tick"]
    assert names(iii, engine, "--slow", "100ms") == ["nightly", "POST /orders"]
    assert names(iii, engine, "--errors") == ["POST /orders"]
    assert names(iii, engine, "--errors", "--name", "nightly") == []
    assert names(iii, engine, "--name", "CARDS") == names(iii, engine, "--attribute", "customer=7") == ["POST /orders"]
    assert names(iii, engine, "--worker", "elsewhere") == names(iii, engine, "--since", "1s") == []
    assert names(iii, engine, "--since", "1h", "--limit", "1") == ["tick"]
    assert iii("traces", "--url", engine.url(), "--errors", "--name", "tick").stdout.startswith("No traces match")


def test_19_3_traces_of_a_worker_are_those_in_which_it_took_part(iii: Iii, engine: RunningEngine) -> None:
    take(
        engine.url(),
        sent(OPEN, "06" * 8, name="POST /mail"),
        sent(OPEN, "07" * 8, "06" * 8, "execute mail::send", service="mail"),
    )
    assert names(iii, engine, "--worker", "MAI") == ["POST /mail"]
    told = iii("traces", "--url", engine.url(), "--worker", "shop-x").stdout
    assert told.startswith("No traces match: no service has 'shop-x' in its name. Services: ")
    assert "shop" in told.partition("Services: ")[2]


def test_19_3_a_trace_that_is_not_complete_is_listed_once(iii: Iii, engine: RunningEngine) -> None:
    take(
        engine.url(),
        sent(OPEN, "0a" * 8, name="POST /buy", at_ms=10, took_ms=90),
        sent(OPEN, "0b" * 8, "99" * 8, "call a", at_ms=20, took_ms=5),  # whose parents have not come yet
        sent(OPEN, "0c" * 8, "98" * 8, "call b", at_ms=30, took_ms=5),
    )
    assert names(iii, engine, "--limit", "1") == names(iii, engine, "--name", "call") == ["POST /buy"]


def test_19_4_a_trace_is_a_waterfall_with_the_reason_of_a_failure(iii: Iii, engine: RunningEngine) -> None:
    done = iii("trace", "0AF7", "--url", engine.url())
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"trace {FAILED}"
    assert lines[1].endswith(", 100 ms, 3 spans, 1 failed, of shop")
    assert [line[: line.index("━")].split("  shop")[0].rstrip() for line in lines if "━" in line] == [
        "POST /orders", "  execute orders::create", "    execute cards::pay",
    ]  # fmt: skip
    drawn = [line[line.index("  shop  ") + 8 :].replace("━", "#") for line in lines if "━" in line]
    assert drawn[0].startswith("#" * 32 + "     100 ms")
    assert drawn[2].startswith(" " * 18 + "#" * 13)
    assert lines[-1] == "        ! ValueError: no card\\n\\x1b[31m"


def test_19_4_logs_stand_below_their_span_and_details_below_all(iii: Iii, engine: RunningEngine) -> None:
    lines = iii("trace", FAILED, "--logs", "--url", engine.url()).stdout.splitlines()
    at = next(at for at, line in enumerate(lines) if "execute orders" in line)
    assert lines[at + 1].endswith("[INFO] shop packing")
    assert lines[-2:] == ["log records of no span above:", lines[-1]]
    assert lines[-1].endswith("[WARN] shop stray")
    detailed = iii("trace", f"00-{FAILED}-{'01' * 8}-01", "--details", "--url", engine.url()).stdout
    assert "customer = 7" in detailed
    assert "          line 2\n" in detailed
    cut = iii("trace", FAILED, "--limit", "1", "--url", engine.url()).stdout.splitlines()
    assert cut[-1] == "… 2 more spans; show them with --limit 3"


def test_19_4_json_has_the_tree_and_the_records(iii: Iii, engine: RunningEngine) -> None:
    found = json.loads(iii("trace", FAILED, "--logs", "--json", "--url", engine.url()).stdout)
    assert found["trace_id"] == FAILED
    assert found["roots"][0]["children"][0]["children"][0]["name"] == "execute cards::pay"
    assert [record["body"] for record in found["logs"]] == ["packing", "stray"]


@pytest.mark.parametrize("command", [["trace"], ["logs", "--trace"]], ids=" ".join)
def test_19_4_an_id_that_is_unknown_or_not_unique_is_said(iii: Iii, engine: RunningEngine, command: list[str]) -> None:
    unknown = iii(*command, "abc", "--url", engine.url())
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("Error: no trace is known whose id begins with 'abc'. ")
    assert "'iii traces' lists" in unknown.stderr
    whole = iii(*command, "ab" * 16, "--url", engine.url())
    assert (whole.returncode, whole.stderr[:59]) == (1, f"Error: no trace '{'ab' * 16}' is known")
    several = iii(*command, "0af", "--url", engine.url())
    assert several.returncode == 1
    assert several.stderr.startswith("Error: '0af' is the beginning of 2 traces; type more of the one you mean:\n")
    assert f"  {SLOW}  " in several.stderr


def test_19_4_logs_of_a_trace_whose_beginning_was_typed(iii: Iii, engine: RunningEngine) -> None:
    assert iii("logs", "--trace", "0af7", "--url", engine.url()).stdout.splitlines()[0].endswith("[INFO] shop packing")
    none = iii("logs", "--trace", "0af8", "--url", engine.url())
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == f"trace {SLOW} has no log records\n"
    matching = iii("logs", "--trace", FAILED, "--level", "error", "--url", engine.url())
    assert matching.stderr == f"trace {FAILED} has no log records that match\n"


def test_a_trace_deeper_than_json_may_be_is_shown(iii: Iii, engine: RunningEngine) -> None:
    deep = "dee9" + "0" * 28
    take(engine.url(), *(sent(deep, f"{n + 1:016x}", f"{n:016x}" if n else "", f"n{n}", at_ms=n) for n in range(400)))
    done = iii("trace", "dee9", "--url", engine.url())
    assert done.returncode == 0
    assert sum("━" in line for line in done.stdout.splitlines()) == 400
    assert done.stderr.startswith("the tree of this trace is not available")


def test_no_engine_and_wrong_usage_of_traces(iii: Iii) -> None:
    for command in (["traces"], ["trace", "ab"]):
        nobody = iii(*command, "--port", "1")
        assert (nobody.returncode, nobody.stderr[:24]) == (1, "Error: cannot connect to")
    for wrong, text in (
        (["traces", "--slow", "fast"], "error: --slow: expected a duration such as 250ms, 90s"), (["traces", "--since", "-1"], "--since"),
        (["traces", "--limit", "0"], "--limit: expected a whole number from 1 to 1000, got 0"),
        (["traces", "--attribute", "x"], "expected KEY=VALUE, got 'x'"), (["traces", "extra"], "extra"),
        (["trace"], "ID is missing; 'iii traces' lists ids"), (["trace", "a", "b"], "ID is one argument, got 2"),
        (["trace", "xyz"], "expected the id of a trace, 32 hexadecimal digits, or its beginning, got 'xyz'"),
        (["trace", "ab", "--limit", "-1"], "--limit"),
        (["logs", "--trace", "zz"], "error: --trace: expected the id of a trace, 32 hexadecimal digits, or its beginning, got 'zz'"),
    ):  # fmt: skip
        done = iii(*wrong)
        assert done.returncode == 2
        assert text in done.stderr
