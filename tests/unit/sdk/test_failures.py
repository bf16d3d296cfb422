"""What is told of errors (01 §5.12, P14), whatever they do when they are looked at (core 3, bugs 2)."""

import logging
import sys
from contextlib import nullcontext

import msgspec
import pytest

import iii
from iii.protocol.errors import ErrorBody
from iii.protocol.traceback_text import TRACEBACK_CHARACTERS, shown
from iii.sdk.answers import FUNCTION_FAILED
from iii.sdk.failures import error_body, log_failure, text_of
from iii.sdk.payload_text import redact_and_truncate
from tests.hostile import EXCEPTIONS, Code, EvilText, WithoutText


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as same:
        return same


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError(), "ValueError"),
        (SystemExit(3), "SystemExit: 3"),
        (ValueError("lone \ud800"), "ValueError: lone ?"),
        (WithoutText(), "WithoutText: <WithoutText without a text>"),
    ],
)
def test_P14_the_type_stands_before_the_text(error: BaseException, text: str) -> None:
    assert text_of(error) == text


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (iii.InvocationError("C", "m"), "C", "m"),
        (iii.InvocationError("lone \ud800", "lone \udc00"), "lone ?", "lone ?"),
        (iii.InvocationError(5, None), "5", ""),  # type: ignore[arg-type]
        (iii.InvocationError(Code.OF_TEXT, ["m"]), "OF_TEXT", "['m']"),  # type: ignore[arg-type]
        (iii.InvocationError("", "m"), "invocation_failed", "m"),
        (iii.InvocationError(EvilText("C"), EvilText("m")), "C", "m"),
    ],
)
def test_core_3b_a_code_and_a_message_become_text(error: BaseException, code: str, message: str) -> None:
    body = error_body(error)
    assert (body.code, body.message) == (code, message)


def test_core_3c_long_texts_are_cut_and_say_so() -> None:
    error = raised(ValueError("a" * 1_000_000 + "end"))
    body = error_body(error)
    for text in (body.message, body.stacktrace):
        assert isinstance(text, str)
        assert len(text) < TRACEBACK_CHARACTERS + 100
        assert " characters cut) … " in text
    assert body.message.startswith("ValueError: aaa")
    assert body.message.endswith("end")
    assert "(983619 characters cut)" in shown(error)
    assert shown("x" * TRACEBACK_CHARACTERS) == "x" * TRACEBACK_CHARACTERS


@pytest.mark.parametrize("number", range(len(EXCEPTIONS)))
def test_core_3a_nothing_that_an_error_does_keeps_it_from_being_told(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    error = raised(EXCEPTIONS[number]())
    body = error_body(error)
    assert msgspec.json.decode(msgspec.json.encode(body), type=ErrorBody).code
    log_failure(FUNCTION_FAILED, error, function="f")
    assert "Function failed (function=f, reason=" in caplog.text


def test_a_field_called_reason_costs_no_line(caplog: pytest.LogCaptureFixture) -> None:
    log_failure(FUNCTION_FAILED, ValueError("why"), function="f", reason="of the caller")
    assert 'Function failed (function=f, reason="ValueError: why")' in caplog.text


@pytest.mark.parametrize("logger", ["iii.sdk", "iii.sdk.wire"])
def test_core_4_a_log_handler_that_raises_costs_one_record(logger: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Raises(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise SystemExit("of a log handler")

    handler = Raises()
    logging.getLogger(logger).addHandler(handler)
    try:
        logging.getLogger(logger).error("heard by nobody")
    finally:
        logging.getLogger(logger).removeHandler(handler)
    assert "SystemExit: of a log handler" in capsys.readouterr().err


def test_core_4_an_error_that_no_handler_can_format_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    class CauseRaises(Exception):
        @property
        def __cause__(self) -> BaseException:  # type: ignore[override]
            raise KeyboardInterrupt

    log_failure(FUNCTION_FAILED, raised(CauseRaises("why")), function="f")
    assert 'Function failed (function=f, reason="CauseRaises: why")' in caplog.text


def test_a_failure_that_nobody_wants_to_hear_of_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("iii.sdk")
    monkeypatch.setattr(logger, "disabled", True)
    log_failure(FUNCTION_FAILED, ValueError("no"))
    monkeypatch.setattr(logger, "disabled", False)

    def broken(*arguments: object, **named: object) -> None:
        raise SystemExit(3)

    monkeypatch.setattr(logger, "makeRecord", broken)
    log_failure(FUNCTION_FAILED, ValueError("no"))


@pytest.mark.parametrize("ends", [True, False])
def test_ctrl_c_while_the_error_of_a_log_handler_is_told_ends_the_program(
    ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stderr:
        def write(self, text: str) -> None:
            raise KeyboardInterrupt if ends else SystemExit("of a stream")

    def raising(_record: logging.LogRecord) -> bool:
        raise ValueError("of a filter")

    log = logging.getLogger("iii.sdk")
    log.addFilter(raising)
    monkeypatch.setattr(sys, "stderr", Stderr())
    try:
        with pytest.raises(KeyboardInterrupt) if ends else nullcontext():
            log.error("heard by nobody")
    finally:
        log.removeFilter(raising)


@pytest.mark.parametrize("guarded", ["record factory", "handler", "trace"])
def test_ctrl_c_while_something_is_told_ends_the_program(guarded: str) -> None:
    class Interrupted:
        def model_dump(self, **_: object) -> None:
            raise KeyboardInterrupt

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    factory, log = logging.getLogRecordFactory(), logging.getLogger("iii.sdk")
    if guarded == "record factory":
        logging.setLogRecordFactory(interrupted)  # type: ignore[arg-type]
    elif guarded == "handler":
        log.addFilter(interrupted)  # type: ignore[arg-type]
    try:
        with pytest.raises(KeyboardInterrupt):
            redact_and_truncate(Interrupted()) if guarded == "trace" else log_failure(FUNCTION_FAILED, ValueError("v"))
    finally:
        logging.setLogRecordFactory(factory)
        log.removeFilter(interrupted)  # type: ignore[arg-type]
