"""Whatever a handler returns, raises or is cancelled by, and whatever else of the user's fails meanwhile: one answer a call.

The SDK's own parts, without a socket: what the engine says goes in, what the worker says comes out (core 3, 4; bugs 2, 3, 7).
"""

import asyncio
import contextlib
import inspect
import io
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import iii
from iii.protocol.codec import worker_message_decoder
from iii.protocol.errors import ErrorBody
from iii.protocol.messages import InvocationResult, InvokeFunction, RegisterTrigger, TriggerRegistrationResult
from iii.sdk.annotations import Hints
from iii.sdk.calls import BlockedThread, PendingCalls
from iii.sdk.channel_opener import ChannelOpener
from iii.sdk.executor import Executor
from iii.sdk.handlers import Handler
from iii.sdk.inbound import Inbound
from iii.sdk.registrations import Function, Registrations, TriggerType
from iii.sdk.threads import HandlerThreads
from tests.hostile import AWAITABLES, EXCEPTIONS, VALUES, ClassRaises, ExitHides, explode, nested
from tests.machine import uncollected
from tests.unit.sdk.span_makers import maker

DEADLINE_S = 60.0

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
# Made within the test: hypothesis shows what it draws, and some of these cannot be shown
values = (
    (json_values | st.builds(nested, st.integers(0, 2000), st.booleans(), json_values)).map(lambda value: lambda: value)
) | st.sampled_from(VALUES)
exceptions = st.sampled_from(EXCEPTIONS) | st.builds(
    partial, st.just(iii.InvocationError), json_values, json_values, st.none(), json_values
)
Outcome = tuple[str, Callable[[], Any]]
outcomes = (
    st.tuples(st.just("returns"), values)
    | st.tuples(st.just("raises"), exceptions)
    | st.tuples(st.just("awaits"), st.sampled_from(AWAITABLES))
)
KINDS = ("sync", "async", "late", "awaitable", "cancelled", "cancelled before", "traced", "traced async")
kinds = st.sampled_from(KINDS)


NOBODY: Any = None  # nobody observes


# What finalizers and weak references call is nobody's to catch
STRUCK = (str(Path(iii.__file__).parent), inspect.__file__)


def strike(frame: FrameType, event: str, argument: object) -> None:
    """A trace function that raises at the next step of the worker's."""
    if frame.f_code.co_filename.startswith(STRUCK):
        explode()


@contextlib.contextmanager
def restored_trace() -> Iterator[None]:
    """What measures the coverage goes on afterwards; no collection begins, which ends generators of earlier workers."""
    measuring = sys.gettrace()
    with uncollected():
        try:
            yield
        finally:
            sys.settrace(measuring)


class BrokenSpan:
    answered = succeeded = failed = explode

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet


class RaisingHandler(logging.Handler):
    def __init__(self, error: Callable[[], BaseException]) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error()

    def handleError(self, record: logging.LogRecord) -> None:
        raise self.error()


@contextlib.contextmanager
def raising_log_handler(error: Callable[[], BaseException] | None) -> Iterator[None]:
    """A log handler of the user's that raises, if there is an error; others hear nothing."""
    handler, logger = logging.NullHandler() if error is None else RaisingHandler(error), logging.getLogger("iii.sdk")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)


class Client:
    """What is behind the socket of a worker."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, new_span: Callable[[InvokeFunction], Any] | None = None
    ) -> None:
        self.registrations = Registrations()
        self.sent: list[bytes] = []
        self.said = asyncio.Event()
        self.loop = loop
        self.threads = HandlerThreads()
        self.executor = Executor(
            self.registrations.functions, loop, self.threads, self.send, self.send, maker(new_span)
        )
        self.pending = PendingCalls()
        self.inbound = Inbound(self.pending, self.executor, self.registrations, self.send, NOBODY, print, print, print)

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        self.loop.call_soon_threadsafe(self.said.set)

    def serve(self, function_id: str, handler: Callable[..., Any]) -> None:
        served = Handler(handler, Hints(handler), ChannelOpener("ws://h", {}))
        self.registrations.functions[function_id] = Function(b"", served, "")

    async def answers(self, count: int) -> list[bytes]:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.sent) < count:
                await self.said.wait()
                self.said.clear()
        await asyncio.sleep(0)  # one too many would be said now
        return self.sent


def handler_of(kind: str, outcome: Outcome) -> Callable[[Any], Any]:
    def run(_: Any) -> Any:
        how, what = outcome
        if how == "raises":
            raise what()
        return what() if how == "returns" or kind in ("sync", "traced") else _waiting(what)

    async def _waiting(what: Callable[[], Any]) -> Any:
        return await what()

    async def run_async(_: Any) -> Any:
        if kind == "late":
            await asyncio.sleep(0)
        elif kind == "cancelled":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        elif kind == "cancelled before":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        result = run(_)
        result = await result if outcome[0] == "awaits" else result
        if kind == "traced async":
            sys.settrace(strike)
        return result

    def run_traced(_: Any) -> Any:
        try:
            return run(_)
        finally:
            sys.settrace(strike)

    if kind in ("sync", "traced"):
        return run if kind == "sync" else run_traced
    return (lambda _: run_async(_)) if kind == "awaitable" else run_async


def answered_once(
    runs: list[tuple[str, Outcome]],
    span: Callable[[InvokeFunction], Any] | None,
    of_logging: Callable[[], BaseException] | None,
) -> None:
    """Call a handler for each run; each call has one answer, of a bounded size, in the form that the engine reads."""

    async def call_all() -> list[bytes]:
        client = Client(asyncio.get_running_loop(), span)
        try:
            for number, (kind, outcome) in enumerate(runs):
                client.serve(f"f{number}", handler_of(kind, outcome))
                client.inbound.receive(
                    b'{"type":"invokefunction","function_id":"f%d","invocation_id":"i%d","data":1}' % (number, number)
                )
            return await client.answers(len(runs))
        finally:
            client.threads.close()

    with raising_log_handler(of_logging), contextlib.redirect_stderr(io.StringIO()), restored_trace():
        answers = asyncio.run(call_all())
    decoder = worker_message_decoder()  # as the engine reads it: nothing too deep, nothing that is not UTF-8
    results = [decoder.decode(each) for each in answers]
    assert sorted(each.invocation_id for each in results if isinstance(each, InvocationResult)) == sorted(
        f"i{number}" for number in range(len(runs))
    )
    for result in results:
        assert isinstance(result, InvocationResult)
        if bytes(result.error) != b"null":
            body = msgspec.json.decode(result.error, type=ErrorBody)
            assert body.code
            assert len(bytes(result.error)) < 300_000


@given(
    st.lists(st.tuples(kinds, outcomes), min_size=1, max_size=4),
    st.none() | st.sampled_from([explode, lambda message: BrokenSpan(True), lambda message: BrokenSpan(False)]),
    st.none() | exceptions,
)
def test_core_3_every_call_has_one_answer(
    runs: list[tuple[str, Outcome]],
    span: Callable[[InvokeFunction], Any] | None,
    of_logging: Callable[[], BaseException] | None,
) -> None:
    answered_once(runs, span, of_logging)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("of_logging", [None, ClassRaises, ExitHides], ids=["quiet", "class", "exit"])
def test_core_3_every_hostile_outcome_of_each_kind_of_handler_is_one_answer(
    kind: str, of_logging: Callable[[], BaseException] | None
) -> None:
    """Each of the table, which no property draws in one run."""
    outcomes: list[Outcome] = [
        *(("raises", each) for each in EXCEPTIONS),
        *(("returns", each) for each in VALUES),
        *(("awaits", each) for each in AWAITABLES),
    ]
    answered_once([(kind, each) for each in outcomes], None, of_logging)


@given(st.integers(0, 2000), st.booleans(), st.sampled_from(["1", "NaN", '"\\ud800"', '"\ud800"']), st.booleans())
def test_bugs_7_what_is_read_is_answered_or_ends_its_call_however_deep(
    levels: int, of_objects: bool, inner: str, hidden: bool
) -> None:
    opening, closing = ('{"a":', "}") if of_objects else ("[", "]")
    text = opening * levels + inner + closing * levels
    # an engine of another make may put the payload before the ids
    members = [f'"data":{text},"result":{text}', '"invocation_id":"i","function_id":"f"']
    data = ",".join(members if hidden else reversed(members)).encode("utf-8", "surrogatepass")

    async def run() -> tuple[list[bytes], Any]:
        client = Client(asyncio.get_running_loop())
        client.serve("f", lambda payload: None)
        waiter = BlockedThread("f", "i")
        client.pending.add(waiter)
        client.inbound.receive(b'{"type":"invokefunction",%b}' % data)
        client.inbound.receive(b'{"type":"invocationresult",%b}' % data)
        try:
            return await client.answers(1), waiter.wait(0)
        except iii.InvocationError as error:
            return await client.answers(1), error
        finally:
            client.threads.close()

    (answer,), outcome = asyncio.run(run())
    result = worker_message_decoder().decode(answer)
    assert isinstance(result, InvocationResult)
    assert result.invocation_id == "i"
    assert outcome is not None


@given(exceptions, st.booleans(), st.none() | exceptions)
def test_core_4_every_binding_is_answered_whatever_its_provider_raises(
    error: Callable[[], BaseException], is_async: bool, of_logging: Callable[[], BaseException] | None
) -> None:
    refused(error, is_async, of_logging)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("error", EXCEPTIONS, ids=range(len(EXCEPTIONS)))
def test_core_4_every_hostile_exception_of_a_provider_is_an_answer(
    error: Callable[[], BaseException], is_async: bool
) -> None:
    """Each of the table, which no property draws in one run."""
    refused(error, is_async, error)


def refused(error: Callable[[], BaseException], is_async: bool, of_logging: Callable[[], BaseException] | None) -> None:
    class Provider(iii.TriggerHandler):
        def register_trigger(self, config: iii.TriggerConfig) -> None:
            raise error()

        def unregister_trigger(self, config: iii.TriggerConfig) -> None:
            raise error()

    class AsyncProvider(iii.TriggerHandler):
        async def register_trigger(self, config: iii.TriggerConfig) -> None:
            raise error()

        async def unregister_trigger(self, config: iii.TriggerConfig) -> None:
            raise error()

    async def bind() -> list[bytes]:
        client = Client(asyncio.get_running_loop())
        client.registrations.trigger_types["t"] = TriggerType(b"", AsyncProvider() if is_async else Provider())
        client.inbound.receive(b'{"type":"unregistertrigger","id":"b0","trigger_type":"t"}')
        client.inbound.receive(msgspec.json.encode(RegisterTrigger("b1", "t", "f")))
        answers = await client.answers(1)
        assert not asyncio.all_tasks() - {asyncio.current_task()} or await _ended()
        return answers

    async def _ended() -> bool:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        done, pending = await asyncio.wait(tasks, timeout=DEADLINE_S)
        return not pending and all(each.cancelled() or each.exception() is None for each in done)

    with raising_log_handler(of_logging), contextlib.redirect_stderr(io.StringIO()):
        (answer,) = asyncio.run(bind())
    result = worker_message_decoder().decode(answer)
    assert isinstance(result, TriggerRegistrationResult)
    assert msgspec.json.decode(result.error, type=ErrorBody).code


@pytest.mark.parametrize("make", AWAITABLES)
def test_core_4_every_binding_is_answered_whatever_its_provider_awaits(make: Callable[[], Any]) -> None:
    class Provider(iii.TriggerHandler):
        def register_trigger(self, config: iii.TriggerConfig) -> Any:
            return make()

        def unregister_trigger(self, config: iii.TriggerConfig) -> None: ...

    class AsyncProvider(Provider):
        async def register_trigger(self, config: iii.TriggerConfig) -> None:
            await make()

    async def bind() -> list[bytes]:
        client = Client(asyncio.get_running_loop())
        for number, provider in enumerate((Provider(), AsyncProvider())):
            client.registrations.trigger_types[f"t{number}"] = TriggerType(b"", provider)
            client.inbound.receive(msgspec.json.encode(RegisterTrigger(f"b{number}", f"t{number}", "f")))
        return await client.answers(2)

    answers = [worker_message_decoder().decode(each) for each in asyncio.run(bind())]
    assert {each.id for each in answers if isinstance(each, TriggerRegistrationResult)} == {"b0", "b1"}


def test_bugs_3_what_is_cancelled_before_it_began_is_answered() -> None:
    class Provider(iii.TriggerHandler):
        async def register_trigger(self, config: iii.TriggerConfig) -> None:
            await asyncio.Event().wait()

        async def unregister_trigger(self, config: iii.TriggerConfig) -> None: ...

    async def wait(payload: Any) -> None:
        await asyncio.Event().wait()

    async def at_once(payload: Any) -> str:
        return "done"

    async def call_and_cancel() -> list[bytes]:
        client = Client(asyncio.get_running_loop())
        client.serve("wait", wait)
        client.serve("at_once", at_once)
        client.registrations.trigger_types["t"] = TriggerType(b"", Provider())
        for function_id in (b"wait", b"at_once"):
            client.inbound.receive(
                b'{"type":"invokefunction","function_id":"%b","invocation_id":"%b"}' % (function_id, function_id)
            )
        client.inbound.receive(msgspec.json.encode(RegisterTrigger("b1", "t", "f")))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        return await client.answers(3)

    answers = {
        each.invocation_id if isinstance(each, InvocationResult) else "binding": each
        for each in map(worker_message_decoder().decode, asyncio.run(call_and_cancel()))
    }
    assert bytes(answers["at_once"].result) == b'"done"'  # type: ignore[union-attr]
    for each in ("wait", "binding"):
        assert b"CancelledError" in bytes(answers[each].error)  # type: ignore[union-attr]


def test_core_3_only_the_stop_of_this_client_is_silent() -> None:
    async def stop() -> list[bytes]:
        client = Client(asyncio.get_running_loop())

        async def wait(payload: Any) -> None:
            await asyncio.Event().wait()

        client.serve("wait", wait)
        client.inbound.receive(b'{"type":"invokefunction","function_id":"wait","invocation_id":"i"}')
        await asyncio.sleep(0)
        await client.executor.stop(None)
        return client.sent

    assert asyncio.run(stop()) == []
