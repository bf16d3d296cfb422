"""Channels between functions of published clients (07 checks 8, 13)."""

import asyncio
import hashlib
import random
from typing import Any

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
        assert sending.result(60) == 5


@feature(CHANNELS)
@pytest.mark.parametrize("client", parameters(*PYTHON[:2], PYTHON[-1], NODE[0], NODE[-1]))
def test_07_check_13_a_worker_tells_its_progress_in_texts_and_its_result_in_bytes(
    client: Client, own_engine: EngineProcess
) -> None:
    require(client)
    words = ["a", "bb", "ccc", "dddd", "eeeee"]
    with Driver(client) as theirs, Driver(OURS) as caller:
        theirs.connect(own_engine.url, "theirs")
        caller.connect(own_engine.url, "caller")
        theirs.register("theirs::count", "channel_count")
        theirs.register("theirs::follow", "channel_follow")
        theirs.discover("functions")
        refs = caller.call("engine::channels::create", {})
        counting = caller.start_call("theirs::count", {"writer": refs["writer"], "words": words})
        followed = caller.call("theirs::follow", {"reader": refs["reader"]})
        assert followed["progress"] == [{"done": done, "of": 5} for done in range(1, 6)]
        assert followed["result"] == {"words": words, "total": 15}
        assert counting.result(60) == 15


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
            call: Any = {"function_id": "theirs::digest", "payload": {"reader": channel.reader_ref}}
            answering = asyncio.ensure_future(ours.trigger_async(call))
            async with channel.writer as writer:
                await writer.write(data)
            assert await answering == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
