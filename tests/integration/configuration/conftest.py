"""An engine with the module `configuration` in the test's own event loop, and workers of our SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.integration.configuration.office import Office, Open


@pytest_asyncio.fixture
async def open_office(tmp_path: Path) -> AsyncIterator[Open]:
    offices: list[Office] = []

    async def open_office(ttl_seconds: int = 0) -> Office:
        for office in offices:
            await office.close()
        offices.clear()
        office = await Office.at(tmp_path / "config", ttl_seconds)
        offices.append(office)
        return office

    yield open_office
    for office in offices:
        await office.close()


@pytest_asyncio.fixture
async def office(open_office: Open) -> Office:
    return await open_office()
