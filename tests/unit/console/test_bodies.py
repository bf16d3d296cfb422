"""Bodies of requests come in time, or not at all (23 §2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import web

from iii.console.application import body_of
from iii.console.refusal import Refusal


class _Content:
    """One piece, and then nothing more."""

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()


class _Request:
    content = _Content()


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    with pytest.raises(Refusal) as refused:
        await body_of(cast("web.Request", cast("Any", _Request())), limit_s=0.01)

    assert refused.value.status == 408
