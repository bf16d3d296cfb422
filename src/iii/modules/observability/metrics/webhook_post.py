"""One attempt at the webhook of an alert (16 §6)."""

from __future__ import annotations

import asyncio

import aiohttp
from yarl import URL

from iii.net.addresses import AddressRefused
from iii.net.exchange_causes import cause_of
from iii.net.guarded_resolver import GuardedResolver

TIMEOUT_S = 30.0  # Time-out of one attempt at the webhook of an alert.


async def post(url: URL, body: bytes, allow_private_hosts: bool) -> str:
    """Why it failed; empty: it did not. Raises AddressRefused."""
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(not allow_private_hosts), use_dns_cache=False)
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(
                url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response,
        ):
            return "" if 200 <= response.status < 300 else f"HTTP {response.status}"
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:.0f} s"
    except (aiohttp.ClientError, ValueError, OSError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
            raise error.os_error from None
        return cause_of(error)
