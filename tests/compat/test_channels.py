"""Channels between functions of published clients (07 check 13)."""

import asyncio
import hashlib
import random

import pytest

import iii
from tests.compat.drivers import Driver
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import CHANNELS, feature
from tests.compat.fleet import OURS, parameters, require
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.timeout(600)]

RECORDS = [{"value": value} for value in (12, 99, 100, 308, 2048)]
STATS = {"sum": 2567, "average": 513.4, "min": 12, "max": 2048, "texts": ["begin", "end"]}


@feature(CHANNELS)
@pytest.mark.parametrize("client", parameters(*PYTHON, *NODE))
def test_07_check_13_a_sender_streams_records_and_a_processor_sums_them(
    client: Client, own_engine: EngineProcess
) -> None:
    require(client)
    with Driver(client) as theirs, Driver(OURS) as caller:
        theirs.connect(own_engine.url, "theirs")
        caller.connect(own_engine.url, "caller")
        theirs.register("theirs::send", "channel_send")
        theirs.register("theirs::stats", "channel_stats")
        theirs.discover("functions")
        refs = caller.call("engine::channels::create", {})
        sending = caller.start_call("theirs::send", {"writer": refs["writer"], "records": RECORDS})
        assert caller.call("theirs::stats", {"reader": refs["reader"]}) == STATS
        assert sending.result(20) == 5


@feature(CHANNELS)
@pytest.mark.parametrize("client", parameters(PYTHON[-1], NODE[-1]))
async def test_07_check_8_ten_megabytes_of_our_sdk_are_the_same_at_a_published_reader(
    client: Client, own_engine: EngineProcess
) -> None:
    require(client)
    data = random.Random(8).randbytes(10 * 2**20)
    with Driver(client) as theirs:
        theirs.connect(own_engine.url, "theirs")
        theirs.register("theirs::digest", "channel_digest")
        theirs.discover("functions")
        async with iii.connect_worker(own_engine.url) as ours:
            channel = await ours.create_channel_async()
            payload = {"reader": channel.reader_ref}
            answering = asyncio.ensure_future(ours.trigger_async({"function_id": "theirs::digest", "payload": payload}))
            async with channel.writer as writer:
                await writer.write(data)
            assert await answering == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
