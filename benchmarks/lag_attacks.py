"""Messages that held the engine's loop once, or might; each finding of the first review is named."""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.lag_client import ANSWER_S, MIB, Client, call_of, invocation_id, invoke, message, trigger, void, worker
from benchmarks.processes import Server
from benchmarks.wire import masked_frame


class Target(NamedTuple):
    port: int
    server: Server
    quick: bool

    def count(self, full: int) -> int:
        return full // 10 if self.quick else full


Attack = Callable[[Target], None]


def big(data: bytes, times: int = 1) -> Attack:
    """One large message, made before it is measured."""

    def attack(target: Target) -> None:
        client = Client(target.port)
        client.send([data] * times)
        with contextlib.suppress(queue.Empty):
            client.pongs.get(timeout=0.01)
        try:
            client.ping()
        except (OSError, queue.Empty):
            pass  # the engine may well have ended it
        client.close()

    return attack


def calls(function_id: str, data: bytes) -> Attack:
    """One call of a function of the engine's own, made before it is measured, and its answer."""
    mark = invocation_id()
    text = b'{"type":"invokefunction","function_id":"%b","invocation_id":"%b","data":%b}'
    frame = text % (function_id.encode(), mark.encode(), data)

    def attack(target: Target) -> None:
        client = worker(target.port, "caller")
        client.send([frame])
        while mark.encode() not in client.messages.get(timeout=ANSWER_S)[:200]:
            pass
        client.close()

    return attack


def crons(expression: str, full: int) -> Attack:
    def attack(target: Target) -> None:
        client = worker(target.port, "crons")
        client.send(trigger(n, "cron", {"expression": expression}) for n in range(target.count(full)))
        client.ping()
        client.close()

    return attack


def parked_and_types(target: Target) -> None:
    parked, types = worker(target.port, "parked"), worker(target.port, "types")
    parked.send(trigger(n, "never", {}) for n in range(target.count(30_000)))
    parked.ping()
    types.send(message("registertriggertype", id=f"type{n}", description="d") for n in range(1000))
    types.ping()
    types.close()
    parked.close()


def type_again(target: Target) -> None:
    provider, owner = worker(target.port, "provider"), worker(target.port, "owner")
    again = message("registertriggertype", id="again", description="d")
    provider.send([again])
    provider.ping()
    owner.send(trigger(n, "again", {}) for n in range(5000))
    owner.ping()
    provider.send([again] * 300)
    provider.ping()
    provider.close()
    owner.close()


def large_descriptions(target: Target) -> None:
    client = worker(target.port, "wordy")
    for number in range(12):
        client.send([message("registerfunction", id=f"wordy::{number}", description="d" * (6 * MIB))])
    client.ping()
    asking = worker(target.port, "asking")
    asking.call("engine::functions::list", {})
    asking.close()
    client.close()


def many_functions(target: Target) -> None:
    client = worker(target.port, "many")
    client.send(message("registerfunction", id=f"many::{n}") for n in range(target.count(100_000)))
    client.ping()
    client.close()


def many_functions_told(target: Target) -> None:
    """The event names them all (W6)."""
    hears = worker(target.port, "hears", "hears::f")
    hears.send([trigger(1, "engine::functions-available", {}, "hears::f")])
    hears.ping()
    many_functions(target)
    while b'"hears::f"' not in hears.messages.get(timeout=ANSWER_S)[:200]:
        pass
    hears.close()


def executor_dies(target: Target) -> None:
    executor, caller = worker(target.port, "executor", "dies::f"), worker(target.port, "caller")
    caller.send(invoke("dies::f", {"n": n}, invocation_id()) for n in range(target.count(20_000)))
    caller.ping()
    executor.close()
    caller.ping()
    caller.close()


def connects(target: Target) -> None:
    for _ in range(target.count(2000)):
        client = Client(target.port, deaf=True)
        client.raw(masked_frame(message("invokefunction", function_id="f", data=None)))
        client.close()


def pipelined(target: Target) -> None:
    """Requests whose answers nobody reads."""
    with socket.create_connection(("127.0.0.1", target.port)) as connection:
        connection.settimeout(1.0)
        requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
        until = time.monotonic() + 3
        with contextlib.suppress(OSError):
            while time.monotonic() < until:
                connection.sendall(requests)


def void_burst(target: Target) -> None:
    """3,000 void calls of 100 KB to a worker that reads: all arrive (core 7)."""
    reader, sender = worker(target.port, "reader", "burst::f"), worker(target.port, "sender")
    before = reader.received
    count = target.count(3000)
    sender.send(invoke("burst::f", "x" * 100_000) for _ in range(count))
    sender.ping()
    reader.ping()
    deadline = time.monotonic() + ANSWER_S
    while reader.received < before + count:
        assert time.monotonic() < deadline, f"{reader.received - before} of {count} void calls arrived"
        time.sleep(0.01)
    reader.close()
    sender.close()


def bursts(target: Target) -> None:
    """Forty clients send 2,000 small calls at once, three times."""
    clients = [worker(target.port, f"burst{number}") for number in range(40)]
    data = b"".join(masked_frame(invoke("nobody::f", {"n": n})) for n in range(2000))

    def send(client: Client) -> None:
        for _ in range(3):
            client.raw(data)
            client.ping()
        client.close()

    threads = [threading.Thread(target=send, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def spans(about: str, per_second: int = 100_000, in_frame: int = 512) -> Attack:
    """So many spans of 640 bytes arrive each second, for 10 s; `about` is an attribute of their resource."""
    pair = '{"key":"%s","value":{"stringValue":"%s"}}'
    span = (
        '{"traceId":"%032x","spanId":"%016x","parentSpanId":"0af7651916cd43dd","name":"execute bench::echo","kind":1,'
        '"startTimeUnixNano":"1795996527557952426","endTimeUnixNano":"1795996527557973077","attributes":[%s],'
        '"events":[{"name":"iii.invocation.input","timeUnixNano":"1795996527557952426","attributes":[%s,%s]}],"status":{"code":1}}'
    )
    pairs = pair % ("iii.function.id", "bench::echo"), pair % ("iii.payload.json", "x" * 150), pair % ("a", "b")
    form = 'OTLP{"resourceSpans":[{"resource":{"attributes":[%s,%s]},"scopeSpans":[{"spans":[%s]}]}]}'
    frames = [
        masked_frame(
            (
                form
                % (
                    pair % ("service.name", "s"),
                    about,
                    ",".join(span % (n, n * 1_000 + at, *pairs) for at in range(in_frame)),
                )
            ).encode(),
            0x82,
        )
        for n in range(1, 20)
    ]

    def attack(target: Target) -> None:
        client = worker(target.port, "spans")
        begun, count = time.perf_counter(), target.count(10 * per_second) // in_frame
        for number in range(count):
            client.raw(frames[number % len(frames)])
            time.sleep(max(begun + number * in_frame / per_second - time.perf_counter(), 0))
        client.ping()
        print(f"{count * in_frame / (time.perf_counter() - begun):,.0f} spans/s were sent")
        client.close()

    return attack


def forward(data: bytes) -> Attack:
    """A large call to a worker, which answers with the same."""

    def attack(target: Target) -> None:
        executor, caller = worker(target.port, "executor", "forward::f"), worker(target.port, "caller")
        mark = invocation_id()
        caller.send([call_of("forward::f", data, mark)])
        while b'"forward::f"' not in executor.messages.get(timeout=ANSWER_S)[:200]:
            pass
        result = b'{"type":"invocationresult","invocation_id":"%b","function_id":"forward::f","result":%b}'
        executor.send([result % (mark.encode(), data)])
        while mark.encode() not in caller.messages.get(timeout=ANSWER_S)[:200]:
            pass
        executor.close()
        caller.close()

    return attack


def mixture(*attacks: Attack) -> Attack:
    def attack(target: Target) -> None:
        threads = [threading.Thread(target=each, args=(target,)) for each in attacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return attack


def nothing(_: Target) -> None:
    time.sleep(2)


INTEGERS = b"[" + b"1," * (29 * MIB) + b"1]"
NAN_LIST = void(b"[" + b"NaN," * MIB + b"1]")
SIXTY_NAN = void(b"[" + b"NaN," * (15 * MIB) + b"1]")
SURROGATES = void(b'["' + b"\\ud800" * (10 * MIB) + b'"]')
BRACKETS = void(b"[" + b'"[","{",' * (7 * MIB) + b"1]")
STAIRS = void(b"[" + b"[[[[[[[[[[]]]]]]]]]]," * (3 * MIB - 1) + b"1]")
DEEP = void(b"[" * (60 * MIB))
STAIR = b"[[[[[[[[[[]]]]]]]]]],"
WHOLE = b"[" + STAIR * (56 * MIB // len(STAIR)) + b"1]"  # more than a builtin takes
MOST = b"[" + STAIR * (int(7.9 * MIB) // len(STAIR)) + b"1]"  # as much as it takes
UNPRINTABLE = '{"type":"invokefunction","function_id":"%s"}'

ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "200 weekly schedules (core 2)": crons("0 0 9 * * 1", 200),
    "20,000 yearly schedules (core 2)": crons("0 0 1 1 1 *", 20_000),
    "2,000 schedules for leap days on a Monday": crons("0 0 0 29 2 1", 2000),
    "4 MiB of NaN (core 8a)": big(NAN_LIST),
    "60 MiB of NaN (core 8a)": big(SIXTY_NAN),
    "60 MiB of lone surrogates (core 8a)": big(SURROGATES),
    "56 MiB of brackets in strings (core 8b)": big(BRACKETS),
    "60 MiB of staircases (core 8b)": big(STAIRS),
    "60 MiB of [ (core 8b)": big(DEEP),
    "30 MiB of id that cannot be printed (core 8c)": big((UNPRINTABLE % ("\u200b" * (10 * MIB))).encode()),
    "8 MiB of control characters (core 8c)": big((UNPRINTABLE % ("\\u0001" * (8 * MIB))).encode()),
    "20 ids of 1 MiB (core 9)": big((UNPRINTABLE % ("f" * MIB)).encode(), 20),
    "30,000 parked triggers, 1,000 types (core 8d)": parked_and_types,
    "one type 300 times, 5,000 bindings (core 8e)": type_again,
    "12 descriptions of 6 MiB, and a list (core 10c)": large_descriptions,
    "100,000 functions of one worker": many_functions,
    "100,000 functions of one worker, told to another": many_functions_told,
    "20,000 calls whose executor dies": executor_dies,
    "2,000 connections that end at once (core 9)": connects,
    "pipelined requests, answers unread (core 10e)": pipelined,
    "3,000 void calls of 100 KB (core 7)": void_burst,
    "40 clients with bursts of 2,000 small calls": bursts,
    "100,000 spans/s of our client for 10 s": spans('{"key":"iii.otlp.kind","value":{"stringValue":"standard"}}'),
    "100,000 spans/s of another client for 10 s": spans('{"key":"a","value":{"stringValue":"b"}}'),
    "58 MiB to a worker and back (F3)": forward(INTEGERS),
    "58 MiB that name a caller, to a worker": forward(b'{"_caller_worker_id":"x","a":%b}' % INTEGERS),
    "state::set with a value of 56 MiB": calls("state::set", b'{"scope":"s","key":"k","value":%b}' % WHOLE),
    "state::set with 56 MiB of lists (F2)": calls("state::set", WHOLE),
    "state::set with a value of 8 MiB": calls("state::set", b'{"scope":"s","key":"k","value":%b}' % MOST),
    "state::set with 8 MiB of lists (F2)": calls("state::set", MOST),
    "state::set with a scope of 8 MiB of lists (F2)": calls("state::set", b'{"scope":%b,"key":"k","value":1}' % MOST),
    "state::set with an old name and 8 MiB": calls("state::set", b'{"group_id":"s","key":"k","value":%b}' % MOST),
    "state::set without a scope, with 8 MiB": calls("state::set", b'{"key":"k","value":%b}' % MOST),
    "state::update with 8 MiB": calls("state::update", b'{"scope":"s","key":"k","ops":%b}' % MOST),
    "state::compare_and_set with 8 MiB": calls(
        "state::compare_and_set", b'{"scope":"s","key":"k","expected_value":1,"new_value":%b}' % MOST
    ),
    "iii::durable::publish with 8 MiB": calls("iii::durable::publish", b'{"topic":"t","data":%b}' % MOST),
    "publish with 8 MiB": calls("publish", b'{"topic":"t","data":%b}' % MOST),
    "engine::register_trigger with 8 MiB": calls(
        "engine::register_trigger", b'{"trigger_type":"cron","function_id":"f","config":%b}' % MOST
    ),
    "engine::workers::register with 8 MiB of lists": calls("engine::workers::register", MOST),
    "mixture: NaN, brackets, types, schedules": mixture(
        big(NAN_LIST), big(BRACKETS), parked_and_types, crons("0 0 9 * * 1", 200)
    ),
    "mixture: void calls, ids, executor dies": mixture(
        void_burst, big((UNPRINTABLE % ("f" * MIB)).encode(), 20), executor_dies
    ),
}
