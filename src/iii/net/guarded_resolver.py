"""Names to addresses, judged in the very step that connects: what was allowed is what is called (03 §B4)."""

from __future__ import annotations

import asyncio
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from iii.net.addresses import AddressRefused, is_blocked, parsed


class GuardedResolver(AbstractResolver):
    """The system's resolver; with `blocks_private_addresses` every single answer has to be a public one."""

    def __init__(self, blocks_private_addresses: bool) -> None:
        self._blocks_private_addresses = blocks_private_addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if self._blocks_private_addresses:
                raise AddressRefused("DNS lookup failed") from None
            raise OSError(f"cannot connect to {host}: {error}") from None
        addresses = [(each[0], str(each[4][0])) for each in found]
        if self._blocks_private_addresses and any(is_blocked(parsed(address)) for _, address in addresses):
            raise AddressRefused("Private IP blocked")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=found_family, proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        pass
