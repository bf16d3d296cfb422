"""The engine's log output (06 §11)."""

import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from iii.protocol import log_level
from iii.protocol.log_line import WORKER_LOG
from iii.protocol.secrets import without_secrets
from iii.server import log
from tests.machine import cpu_within

Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Sends the log to a text buffer; afterwards logging is as it was."""
    root = logging.getLogger()
    before = root.level, root.handlers[:], logging.raiseExceptions
    writers: list[log.LogWriter] = []
    named: set[str] = set()

    def configure(
        level: str = "info", log_format: str = "default", stream: io.StringIO | None = None, **bounds: Any
    ) -> io.StringIO:
        stream = io.StringIO() if stream is None else stream
        writers.append(log.configure(level, log_format, log.LogWriter(stream, **bounds)))
        named.update(log_level.parse_level(level)[1])
        return stream

    yield configure
    for writer in writers:
        writer.close()
    root.setLevel(before[0])
    root.handlers[:], logging.raiseExceptions = before[1:]
    for name in named:
        logging.getLogger(name).setLevel(logging.NOTSET)


def written(stream: io.StringIO) -> str:
    logging.getLogger().handlers[0].flush()
    return stream.getvalue()


def test_06_s11_default_format_is_one_line_and_a_tree_of_fields(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("iii.modules.queue").info(
        "Job enqueued",
        extra={"fields": {"queue": "emails", "job": {"id": 7, "tags": ["a"]}, "attempt": 1}},
    )
    first, *tree = written(stream).splitlines()
    moment = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d{4}\]"  # newcomer M13: date, 24 hours, zone
    assert re.fullmatch(moment + r" \[INFO\] iii\.modules\.queue Job enqueued", first)
    assert tree == [
        '    ├ queue: "emails"',
        "    ├ job:",
        "    │ ├ id: 7",
        '    │ └ tags: ["a"]',
        "    └ attempt: 1",
    ]


def test_newcomer_M13_only_lines_of_workers_have_the_function_as_their_source(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("iii.worker").warning("slow", extra={"fields": {"function": "orders::create"}})
    assert written(stream).endswith("[WARN] orders::create slow\n")
    logging.getLogger("iii.modules.queue").warning("Job failed", extra={"fields": {"function": "mail::send"}})
    assert written(stream).endswith('[WARN] iii.modules.queue Job failed\n    └ function: "mail::send"\n')


def test_06_s11_a_line_begins_with_the_name_of_its_event(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("iii.engine.departures").warning("Worker lost", extra={"event": "worker.lost", "fields": {}})
    assert written(stream).endswith("[WARN] worker.lost Worker lost\n")


@pytest.mark.parametrize("log_format", ["default", "json"])
@pytest.mark.parametrize("character", ["f", "\x01", "\u200b", "\n"])
def test_core_9_the_size_of_a_record_is_not_the_senders_to_choose(
    character: str, log_format: str, configure: Configure
) -> None:
    stream = configure(log_format=log_format)
    huge = character * 8_000_000
    with cpu_within(0.5):  # seconds of escapes before; a tenth of it now
        logging.getLogger("iii.engine").warning("Function %s of %r: %s", huge, huge, ValueError(huge))
        logging.getLogger("iii.worker").info(
            "%s", huge, extra={"fields": {huge: [huge] * 1000, "tree": {"a": {"b": {"c": huge}}}}}
        )
        try:
            raise ValueError(huge)
        except ValueError:
            logging.getLogger("iii.engine").exception("failed")
    lines = written(stream).splitlines()
    assert all(len(line) <= 20_000 for line in lines)
    assert sum(map(len, lines)) < 60_000
    if log_format == "json":
        assert all(json.loads(line) for line in lines)


def test_core_9_a_backlog_is_bounded_in_characters(configure: Configure) -> None:
    stream = StuckStream()
    configure(stream=stream, backlog_characters=1000)
    logging.getLogger("iii").info("first")
    assert stream.entered.wait(60)  # from now on the thread takes nothing
    for _ in range(100):
        logging.getLogger("iii").info("x" * 200)
    assert logging.getLogger().handlers[0].dropped > 90  # type: ignore[attr-defined]
    stream.released.set()
    assert "Log lines dropped: the log was not being read" in written(stream)


def test_06_s11_json_format_is_one_object_per_line(configure: Configure) -> None:
    """06 check 60."""
    stream = configure(log_format="JSON")
    logging.getLogger("iii.engine").error("no\x1b[31m", extra={"fields": {"queue": "emails"}})
    (line,) = written(stream).splitlines()
    assert "\x1b" not in line
    record = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record.pop("timestamp"))
    fields = {"message": "no\x1b[31m", "queue": "emails"}
    assert record == {"level": "ERROR", "event": "library_log", "fields": fields, "target": "iii.engine"}


def test_06_s11_levels_by_source(configure: Configure) -> None:
    stream = configure("warn,iii::engine=trace, iii.engine.router = off")
    logging.getLogger("iii.server").info("hidden")
    logging.getLogger("iii.server").warning("shown 1")
    logging.getLogger("iii.engine.session").log(log_level.LEVELS["trace"], "shown 2")
    logging.getLogger("iii.engine.router").error("hidden")
    assert [line.partition("shown")[2] for line in written(stream).splitlines()] == [" 1", " 2"]
    assert "[TRACE] iii.engine.session" in written(stream)


@pytest.mark.parametrize(
    ("level", "senseless"), [("loud", ["loud"]), ("=debug", ["=debug"]), ("a=loud,,error", ["a=loud"])]
)
def test_06_s11_a_bad_level_is_reported_and_stops_nothing(
    level: str, senseless: list[str], configure: Configure
) -> None:
    assert log_level.parse_level(level)[2] == senseless
    configure(level)
    assert logging.getLogger().level in (logging.INFO, logging.ERROR)


@pytest.mark.parametrize(
    ("level", "in_force"),
    [("verbose", "info"), ("warning", "warn"), ("debug,iii::engine=trace,a=loud", "debug,iii.engine=trace")],
)
def test_06_s5_3_the_level_reported_is_the_one_in_force(level: str, in_force: str) -> None:
    assert log_level.level_in_force(level) == in_force


def test_06_s11_a_json_line_names_its_event(configure: Configure) -> None:
    """newcomer: an alert is set on the event, whatever the sentence quotes."""
    stream = configure(log_format="json")
    logging.getLogger("aiohttp.access").info("Answered %s", "x", extra={"fields": {"log level": "info"}})
    logging.getLogger("iii.x").info("Job %s", "x", extra={"event": "queue.job_unreadable"})
    logging.getLogger(WORKER_LOG).info("Anything %s", "a worker says")
    lines = [json.loads(line) for line in written(stream).splitlines()]
    assert [line["event"] for line in lines] == ["library_log", "queue.job_unreadable", "worker_log"]
    assert lines[0]["fields"]["log_level"] == "info"


def test_06_s11_an_unknown_format_falls_back(configure: Configure) -> None:
    stream = configure(log_format="xml")
    logging.getLogger("iii").info("hello")
    assert "[INFO] iii hello" in written(stream)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_06_s11_colours_only_on_a_terminal(configure: Configure) -> None:
    stream = configure(stream=Terminal())
    logging.getLogger("iii").info("hello")
    assert "\033[34m[INFO]\033[0m iii hello" in written(stream)
    stream = configure()
    logging.getLogger("iii").info("hello")
    assert "\033" not in written(stream)


def test_nothing_a_worker_says_forges_a_line(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("iii").info("a\n[09:00:00] forged\x1b[2J", extra={"fields": {"k\n": "v\n\u202e"}})
    assert written(stream).splitlines()[0].endswith("iii a\\n[09:00:00] forged\\x1b[2J")
    assert written(stream).splitlines()[1] == '    └ k\\n: "v\\n\\u202e"'


def test_an_exception_is_told_below(configure: Configure) -> None:
    text, objects = configure(), None
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("iii").exception("failed")
        assert written(text).splitlines()[-1] == "    ValueError: broken"
        objects = configure(log_format="json")
        logging.getLogger("iii").exception("failed")
    assert json.loads(written(objects))["fields"]["stacktrace"].endswith("ValueError: broken")


def test_secrets_are_hidden_by_key_name(configure: Configure) -> None:
    stream = configure()
    fields = {"headers": {"Authorization": "Bearer x", "Accept": "*"}, "items": [{"apiKey": "x"}], "III_TOKEN": "x"}
    logging.getLogger("iii").info("secrets", extra={"fields": fields})
    assert re.findall(r"\bx\b", written(stream)) == []
    assert written(stream).count("[hidden]") == 3
    assert without_secrets({"user": "x", "db_password": 1}) == {"user": "x", "db_password": "[hidden]"}


def test_a_record_that_cannot_be_formatted_is_told_and_nothing_else_happens(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("iii.engine").info("%d", "no number")
    logging.getLogger("iii.engine").info("next", extra={"fields": "not a mapping"})
    first, source, error, second = written(stream).splitlines()
    assert first.endswith("[ERROR] log.record_failed Log line dropped: it could not be formatted")
    assert (source, error) == ('    ├ source: "iii.engine"', '    └ error: "TypeError"')
    assert second.endswith("next")


class Unshowable(Exception):
    def __str__(self) -> str:
        raise self

    __repr__ = __str__


@pytest.mark.parametrize(
    ("fields", "event", "shown"),
    [
        ({"limit": float("nan"), "of": [float("-inf")]}, "test", {"limit": "nan", "of": ["-inf"]}),
        ({"message": "forged"}, "test", {}),
        ({"map": {(1, 2): 3}}, "log.record_failed", {"source": "iii.engine", "error": "TypeError"}),
        ({"text": Unshowable()}, "log.record_failed", {"source": "iii.engine", "error": "Unshowable"}),
    ],
)
def test_a_json_log_has_json_lines_only_and_the_sentence_is_never_a_fields(
    configure: Configure, fields: dict[str, object], event: str, shown: dict[str, object]
) -> None:
    """Hostile review, F8."""
    stream = configure(log_format="json")
    logging.getLogger("iii.engine").info("Something happened", extra={"event": "test", "fields": fields})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    (line,) = written(stream).splitlines()
    told = json.loads(line, parse_constant=refuse)
    sentence = told["fields"].pop("message")
    assert (told["event"], told["fields"]) == (event, shown)
    assert sentence == ("Something happened" if event == "test" else "Log line dropped: it could not be formatted")


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_broken_stream_stops_nothing(configure: Configure) -> None:
    stream = configure(stream=BrokenStream())
    logging.getLogger("iii").info("nobody hears")
    assert written(stream) == ""


class StuckStream(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        assert self.released.wait(60)
        return super().write(text)


def test_a_stream_that_nobody_reads_drops_lines_and_says_so(
    configure: Configure,
) -> None:
    stream = StuckStream()
    configure(stream=stream, backlog_lines=2, flush_s=0.01)
    logger = logging.getLogger("iii")
    logger.info("line 0")
    assert stream.entered.wait(60)
    for number in range(1, 6):
        logger.info("line %d", number)
    (writer,) = logging.getLogger().handlers
    assert isinstance(writer, log.LogWriter)
    writer.close()  # full: gives up within `flush_s`
    writer.flush_s = 10.0
    stream.released.set()
    lines = written(stream).splitlines()
    assert [line[-6:] for line in lines if "[INFO]" in line] == ["line 0", "line 1", "line 2"]
    assert lines[1].endswith("[WARN] log.lines_dropped Log lines dropped: the log was not being read")
    assert lines[2] == "    └ count: 3"


DEEP_TRACE = "\n".join(
    ["Traceback (most recent call last):"]
    + [f'  File "app.py", line {number}, in step_{number}\n    call(…)' for number in range(200)]
    + ["KeyError: 'last'"]
)


def test_newcomer_c_a_workers_stack_trace_is_a_block_whose_end_is_kept(configure: Configure) -> None:
    stream = configure()
    fields = {"error_id": "1a2b3c4d5e6f", "stacktrace": DEEP_TRACE}
    logging.getLogger("iii.modules.http").error("HTTP handler f failed", extra={"fields": fields})
    first, tree, *block = written(stream).splitlines()
    assert first.endswith("[ERROR] iii.modules.http HTTP handler f failed")
    assert tree == '    └ error_id: "1a2b3c4d5e6f"'
    assert block[0] == "    Traceback (most recent call last):"
    assert block[-3:] == ['      File "app.py", line 199, in step_199', "        call(…)", "    KeyError: 'last'"]
    assert any("characters cut" in line for line in block)
    assert sum(map(len, block)) < 8_000


@pytest.mark.parametrize("character", ["x", "ü", "\U000e0001"])
def test_newcomer_c_json_keeps_the_end_of_the_stack_trace(character: str, configure: Configure) -> None:
    stream = configure(log_format="json")
    trace = character * 20_000 + "\nKeyError: 'last'"
    logging.getLogger("iii.modules.http").error("failed", extra={"fields": {"stacktrace": trace}})
    fields = json.loads(written(stream))["fields"]
    assert fields["message"] == "failed"
    assert fields["stacktrace"].endswith("\nKeyError: 'last'")
    assert len(written(stream)) <= 16_001


def test_a_stack_trace_forges_no_line(configure: Configure) -> None:
    stream = configure()
    trace = "Traceback\n[2026-11-29 03:00:00.000 +0000] [INFO] forged\x1b[2J\u2028[next"
    logging.getLogger("iii").error("failed", extra={"fields": {"stacktrace": trace}})
    assert all(line.startswith("    ") for line in written(stream).splitlines()[1:])
    assert "\x1b" not in written(stream)
