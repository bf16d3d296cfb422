"""A collector that is away for a while (14 §3)."""

import logging
from collections.abc import Sequence

import pytest

from iii.modules.observability.export import exporter as room
from iii.modules.observability.export.collector_address import CollectorAddress
from iii.modules.observability.export.exporter import Exporter, Signalled
from iii.modules.observability.export.transport import SendFailed
from tests.integration.server.waiting import until

AWAY = 9  # attempts: more than a restart of a collector takes


class Collector:
    """Takes nothing at first."""

    def __init__(self) -> None:
        self.attempts = 0
        self.taken: list[bytes] = []

    def send(self, body: bytes) -> None:
        self.attempts += 1
        if self.attempts <= AWAY:
            raise SendFailed("away", again=True)
        self.taken.append(body)

    def close(self) -> None:
        pass


def texts(records: Sequence[str]) -> bytes:
    return ",".join(records).encode()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    monkeypatch.setattr(room, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(room, "LONGEST_PAUSE_S", 0.001)
    return Collector()


def exporting(collector: Collector) -> Exporter[str]:
    address = CollectorAddress("logs", "http/json", "http://c/v1/logs", {})
    return Exporter(address, lambda _: collector, Signalled(texts, len, 2, 0.001))


async def test_14_s3_a_restart_of_the_collector_loses_nothing_while_there_is_room(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    exporter = exporting(collector)
    exporter.start()
    exporter.add(["a", "b", "c"])
    await until(lambda: len(collector.taken) == 2)
    await exporter.stop()
    assert (collector.taken, exporter.dropped) == ([b"a,b", b"c"], 0)
    resumed = [record.fields for record in caplog.records if getattr(record, "event", "") == "export.resumed"]  # type: ignore[attr-defined]
    assert [fields["dropped"] for fields in resumed] == [0]


async def test_14_s3_the_oldest_give_way_to_newer_ones(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(room, "QUEUED", 2)
    exporter = exporting(collector)
    exporter.start()
    exporter.add(["a", "b"])
    await until(lambda: collector.attempts)
    exporter.add(["c", "d", "e"])
    await until(lambda: collector.taken)
    await exporter.stop()
    assert (collector.taken, exporter.dropped) == ([b"d,e"], 3)
    resumed = [record.fields for record in caplog.records if getattr(record, "event", "") == "export.resumed"]  # type: ignore[attr-defined]
    assert [fields["dropped"] for fields in resumed] == [3]
