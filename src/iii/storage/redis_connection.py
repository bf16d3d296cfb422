"""Connections to a Redis server; what redis-py knows stays in here (05 §7.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from iii.protocol.start_failure import StartFailure

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError, ResponseError
else:
    try:
        from redis.exceptions import RedisError, ResponseError
    except ImportError:  # said when somebody wants to connect

        class RedisError(Exception):
            """Never raised: the library is not there."""

        class ResponseError(RedisError):
            """Neither."""


CONNECT_S = 5.0
_ANSWER_S = 10.0  # for one command
_CONNECTIONS = 64

__all__ = ["CONNECT_S", "RedisError", "ResponseError", "client", "connected"]


def client(url: str, retries: int = 1, **options: Any) -> Redis:
    """A client that connects when it is used.

    Args:
        retries: for a connection that was lost since its last use; without any, every loss is told.

    Raises:
        StartFailure: the library is not installed, or no such URL.
    """
    try:
        from redis import asyncio as redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise StartFailure(
            "the adapter `redis` needs the library redis; install it: pip install 'redis>=8.1,<9'"
        ) from None
    settings: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_S,
        "socket_timeout": _ANSWER_S,
        "retry": Retry(NoBackoff(), retries),
        "max_connections": _CONNECTIONS,
        "timeout": _ANSWER_S,  # for a free connection
        **options,
    }
    try:
        pool = redis.BlockingConnectionPool.from_url(url, **settings)
    except ValueError as error:
        raise StartFailure(f"redis_url: {error}", ("adapter", "config", "redis_url")) from None
    return redis.Redis.from_pool(pool)


async def connected(url: str) -> Redis:
    """A client whose server has answered. Raises StartFailure."""
    redis = client(url)
    try:
        async with asyncio.timeout(CONNECT_S):
            await redis.ping()
    except (TimeoutError, RedisError) as error:
        await redis.aclose()
        if isinstance(error, TimeoutError) or "imeout" in str(error):
            raise StartFailure(
                f"Redis connection timed out after {CONNECT_S:g}s. Please ensure Redis is running at: {_shown(url)}"
            ) from None
        raise StartFailure(f"Failed to connect to Redis at {_shown(url)}: {error}") from None
    return redis


def _shown(url: str) -> str:
    """Without its password."""
    scheme, separator, rest = url.partition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}{separator}***@{host}" if at else url
