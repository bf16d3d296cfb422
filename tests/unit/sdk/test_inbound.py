"""Whatever an engine sends, reading it never raises and never stops the next message (08 §4.8)."""

import asyncio
import signal
import threading
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iii.protocol.errors import InvocationError
from iii.protocol.messages import InvokeFunction, RegistrationRejected, WorkerRegistered
from iii.protocol.observe_messages import FunctionRegistered, ObserverAdded, ObserveResult, ObserverStateChanged
from iii.sdk.calls import BlockedThread, PendingCalls
from iii.sdk.inbound import PROVIDER_THREADS, Inbound
from iii.sdk.providers import TriggerConfig, TriggerHandler
from iii.sdk.registrations import Registrations, TriggerType

KINDS = [
    "invokefunction", "invocationresult", "registertrigger", "unregistertrigger", "triggerregistrationresult",
    "workerregistered", "registrationrejected", "pong", "error", "unheard-of",
    "observeresult", "observerstatechanged", "functionregistered", "observeradded", "observerremoved",
]  # fmt: skip
MEMBERS = [
    "id", "function_id", "invocation_id", "data", "result", "error", "metadata", "trigger_type", "config", "code",
    "namespace", "owner_worker_id", "worker_id", "reattach_token", "traceparent", "baggage", "action",
    "state", "reason", "fires", "revision", "observer", "observers", "local_dispatch", "observe_depth", "caller",
]  # fmt: skip

OF_OBSERVERS = ObserveResult | ObserverStateChanged | FunctionRegistered | ObserverAdded

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
messages = st.builds(
    lambda kind, members: msgspec.json.encode(members | {"type": kind}),
    st.sampled_from(KINDS) | json_values,
    st.dictionaries(st.sampled_from(MEMBERS), json_values),
)


class Ears:
    """Stands for everything that Inbound tells."""

    def __init__(self) -> None:
        self.executed: list[InvokeFunction] = []
        self.sent: list[bytes] = []
        self.told: list[Any] = []
        self.pending = PendingCalls()
        self.registrations = Registrations()
        self.inbound = Inbound(
            self.pending,
            self,  # type: ignore[arg-type]
            self.registrations,
            self.sent.append,
            self,  # type: ignore[arg-type]
            self.told.append,
            self.told.append,
            self.told.append,
        )

    def execute(self, message: InvokeFunction) -> None:
        self.executed.append(message)

    def answered(self, message: ObserveResult) -> None:
        self.told.append(message)

    def changed(self, message: ObserverStateChanged) -> None:
        self.told.append(message)

    def acknowledge(self, message: FunctionRegistered | ObserverAdded) -> None:
        self.told.append(message)


@given(st.lists(messages | st.binary(max_size=60), max_size=8), st.data())
def test_nothing_that_is_received_raises(received: list[bytes], data: st.DataObject) -> None:
    ears = Ears()
    for message in received:
        cut = data.draw(st.integers(0, len(message)) | st.none())
        ears.inbound.receive(message if cut is None else message[:cut])
    waiter = BlockedThread("f", "the one")
    ears.pending.add(waiter)
    ears.inbound.receive(b'{"type":"invocationresult","invocation_id":"the one","function_id":"f","result":1}')
    answer = waiter.wait(1000)
    assert answer is not None
    assert bytes(answer.result) == b"1"
    for told in ears.told:
        assert isinstance(told, WorkerRegistered | RegistrationRejected | OF_OBSERVERS)
    for sent in ears.sent:
        assert msgspec.json.decode(sent)["error"]["code"] == "invalid_request"


@given(st.lists(messages, min_size=1, max_size=8))
def test_29_1_a_batch_is_as_good_as_frames(received: list[bytes]) -> None:
    single, together = Ears(), Ears()
    for message in received:
        single.inbound.receive(message)
    together.inbound.receive(b"".join(b"\n" + message for message in received))
    assert [(each.function_id, bytes(each.data)) for each in together.executed] == [
        (each.function_id, bytes(each.data)) for each in single.executed
    ]
    assert together.sent == single.sent
    assert list(map(str, together.told)) == list(map(str, single.told))


def test_29_1_of_a_batch_each_call_gets_its_answer() -> None:
    ears = Ears()
    waiters = [BlockedThread("f", f"call {number}") for number in range(3)]
    for waiter in waiters:
        ears.pending.add(waiter)
    result = b'\n{"type":"invocationresult","invocation_id":"call %d","function_id":"f","result":%d}'
    call = b'\n{"type":"invokefunction","invocation_id":"c","function_id":"f","data":[]}'
    ears.inbound.receive(b"".join((result % (0, 0), call, result % (1, 1), result % (9, 9), result % (2, 2))))
    answers = [waiter.wait(1000) for waiter in waiters]
    assert [bytes(answer.result) for answer in answers if answer is not None] == [b"0", b"1", b"2"]
    assert len(ears.executed) == 1


def test_29_1_what_raises_costs_one_message_of_a_batch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    ears = Ears()

    def fail(message: InvokeFunction) -> None:
        if message.function_id == "bad":
            raise MemoryError
        ears.executed.append(message)

    monkeypatch.setattr(ears, "execute", fail)
    call = b'\n{"type":"invokefunction","invocation_id":"c","function_id":"%b","data":[]}'
    ears.inbound.receive(b"".join(call % name for name in (b"good", b"bad", b"good")))
    assert len(ears.executed) == 2
    assert [each.startswith("Failed to handle incoming message") for each in caplog.messages] == [True]


def leave(*_: object) -> None:
    raise SystemExit(7)


@pytest.mark.parametrize("together", [True, False])
def test_the_exit_of_a_signal_handler_ends_the_process_though_it_strikes_between_messages(
    together: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once: another exit would cut the end of the loop short, and its task would be destroyed in some later test."""
    ears = Ears()
    strikes = [signal.SIGUSR1]

    def strike(message: InvokeFunction) -> None:
        if strikes:
            signal.raise_signal(strikes.pop())

    async def main() -> None:
        ears.inbound.receive(b'\n{"type":"invokefunction","function_id":"f","data":[]}' * (2 if together else 1))
        await asyncio.sleep(60)

    monkeypatch.setattr(ears, "execute", strike)
    before = signal.signal(signal.SIGUSR1, leave)
    try:
        with pytest.raises(SystemExit) as left:
            asyncio.run(main())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert left.value.code == 7
    assert caplog.messages == []


def test_stopping_with_nothing_underway_is_quick() -> None:
    asyncio.run(Ears().inbound.stop())


@pytest.mark.parametrize(
    ("before", "behind"), [(b"\xef\xbb\xbf{", b""), (b"[{", b"]"), (b"{", b"}"), (b"\0{", b"\0"), (b"", b"")]
)
def test_attack_3_a_message_whose_id_can_be_read_is_answered(before: bytes, behind: bytes) -> None:
    ears = Ears()
    waiter = BlockedThread("f", "the one")
    ears.pending.add(waiter)
    ears.inbound.receive(before + b'"type":"invocationresult","invocation_id":"the one","result":1}' + behind)
    with pytest.raises(InvocationError, match="unreadable answer"):
        waiter.wait(1000)
    ears.inbound.receive(before + b'"type":"invokefunction","invocation_id":"c","function_id":"f"}' + behind)
    assert msgspec.json.decode(ears.sent[0])["invocation_id"] == "c"


def test_attack_3_an_answer_without_a_type_that_can_be_read_ends_its_call() -> None:
    ears = Ears()
    waiter = BlockedThread("f", "the one")
    ears.pending.add(waiter)
    ears.inbound.receive(b'pe":"invocationresult","invocation_id":"the one","function_id":"f","result":1}')
    with pytest.raises(InvocationError, match="unreadable answer"):
        waiter.wait(1000)
    assert not ears.sent


class SlowProvider(TriggerHandler):
    """Each trigger waits until all may go on."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.full = threading.Semaphore(0)
        self.at_once = self.most = 0
        self._lock = threading.Lock()

    def register_trigger(self, config: TriggerConfig) -> None:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.full.release()
        self.goes_on.wait(60)
        with self._lock:
            self.at_once -= 1

    def unregister_trigger(self, config: TriggerConfig) -> None: ...


async def test_a_sync_provider_works_on_few_of_thousands_of_triggers_at_once() -> None:
    """They come at once when it connects: a thread for each is more than a system has."""
    ears, provider = Ears(), SlowProvider()
    ears.registrations.trigger_types["slow"] = TriggerType(b"", provider)
    for number in range(3 * PROVIDER_THREADS):
        trigger = {
            "type": "registertrigger",
            "id": f"t{number}",
            "trigger_type": "slow",
            "function_id": "f",
            "config": 1,
        }
        ears.inbound.receive(msgspec.json.encode(trigger))
    for _ in range(PROVIDER_THREADS):
        assert await asyncio.to_thread(provider.full.acquire, timeout=60)
    provider.goes_on.set()
    async with asyncio.timeout(60):
        while len(ears.sent) < 3 * PROVIDER_THREADS:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert provider.most == PROVIDER_THREADS
    await ears.inbound.stop()
