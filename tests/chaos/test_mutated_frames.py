"""200,000 mutated frames at one session hurt nobody (issue 3; 01 §4)."""

import asyncio
import time

import pytest

from iii.protocol.limits import MIB
from tests.chaos.mutation import Mutations
from tests.integration.server.raw_socket import CLOSE, PING, RawSocket, client_frame
from tests.integration.server.waiting import until
from tests.machine import scaled
from tests.processes import EngineProcess

FRAMES = 200_000
BATCH_FRAMES = 200
BATCHES_PER_CONNECTION = 10  # what a connection registers goes with it
BREAKING_FRAMES = 1_000
GROWTH_BYTES = 128 * MIB  # at most, over an idle engine
SEED = 20261124

_ECHO = "innocent::echo"


class Innocents:
    """A worker and its caller, who never stop."""

    def __init__(self, worker: RawSocket, caller: RawSocket) -> None:
        self.worker = worker
        self.caller = caller
        self.calls = 0
        self.slowest_s = 0.0

    async def serve(self) -> None:
        while True:
            call = await self.worker.json(60)
            answer = {"type": "invocationresult", "invocation_id": call["invocation_id"], "function_id": _ECHO}
            self.worker.say({**answer, "result": call["data"]["number"]})

    async def call(self) -> None:
        while True:
            self.calls += 1
            call_id = f"00000000-0000-4000-8000-{self.calls:012d}"
            started = time.monotonic()
            self.caller.say(
                {
                    "type": "invokefunction",
                    "function_id": _ECHO,
                    "invocation_id": call_id,
                    "data": {"number": self.calls},
                }
            )
            answer = await self.caller.json()
            assert (answer["invocation_id"], answer["result"]) == (call_id, self.calls)
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            await asyncio.sleep(0.001)


async def until_answered(attacker: RawSocket, sent: int) -> bool:
    """Read everything up to the pong of a last ping. False: the engine has ended the connection, as it may."""
    mark = b"mark %d" % sent
    try:
        attacker.write(client_frame(mark, PING))
        async with asyncio.timeout(60):
            await attacker.reader.readuntil(mark)
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


async def attack(port: int, mutations: Mutations) -> int:
    """Send them all; how many connections that took."""
    sent = connections = 0
    while sent < FRAMES:
        connections += 1
        async with await RawSocket.greeted(port) as attacker:
            for _ in range(BATCHES_PER_CONNECTION):
                attacker.write(b"".join(mutations.frame() for _ in range(BATCH_FRAMES)))
                sent += BATCH_FRAMES
                if not await until_answered(attacker, sent):
                    break
    return connections


async def break_connections(port: int, mutations: Mutations) -> None:
    """Frames that end their connection, each after some that don't."""
    for _ in range(BREAKING_FRAMES):
        async with await RawSocket.greeted(port) as attacker:
            attacker.write(mutations.frame() + mutations.breaking_frame() + client_frame(b"\x03\xea", CLOSE))
            await attacker.ended()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_mutated_frames_hurt_nobody() -> None:
    with EngineProcess() as engine:
        async with await RawSocket.greeted(engine.port) as worker, await RawSocket.greeted(engine.port) as caller:
            worker.say({"type": "registerfunction", "id": _ECHO})
            for client, name in ((worker, "innocent worker"), (caller, "innocent caller")):
                announcement = {"type": "invokefunction", "function_id": "engine::workers::register",
                                "action": {"type": "void"}, "data": {"name": name, "version": "0.1.0"}}  # fmt: skip
                client.say(announcement)
                assert await client.answers_ping()
            innocents = Innocents(worker, caller)
            idle_rss, idle_files = engine.rss_bytes(), engine.open_files()
            async with asyncio.TaskGroup() as group:
                serving, calling = group.create_task(innocents.serve()), group.create_task(innocents.call())
                mutations = Mutations(SEED)
                connections = await attack(engine.port, mutations)
                await break_connections(engine.port, mutations)
                calling.cancel()
                serving.cancel()
            grown = engine.rss_bytes() - idle_rss
            print(f"{connections} connections, {innocents.calls} calls, slowest {innocents.slowest_s * 1000:.0f} ms, "
                  f"memory grew by {grown / MIB:.1f} MiB")  # fmt: skip
            assert connections < 2 * FRAMES / BATCH_FRAMES / BATCHES_PER_CONNECTION  # they rarely end a connection
            assert innocents.calls > 1000
            assert innocents.slowest_s < scaled(5)
            assert grown < GROWTH_BYTES
            await until(lambda: engine.open_files() <= idle_files + 1 + 2 * 2)  # pipes to the readers of large messages
        log = engine.log()
        assert "Traceback" not in log
        errors = [line for line in log.splitlines() if "[ERROR]" in line]
        assert [line for line in errors if "HTTP function of a worker not registered" not in line] == []
        assert len(log) < 4 * MIB  # nor does an attacker fill the disk
        assert engine.stop() == 0
