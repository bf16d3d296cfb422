"""What the queue module says of jobs: which wait for a time, which for a function, and which are dead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iii.sdk.worker import Worker

_PAGE = 1000


class JobRuns:
    """Of one engine, asked as any worker asks.

    Attributes:
        waiting_for: functions that jobs waited for at the last `are_delayed`, since no worker serves them.
    """

    def __init__(self, client: Worker) -> None:
        self._client = client
        self._known: set[str] = set()  # dead letters
        self.waiting_for: list[str] = []

    async def are_delayed(self) -> bool:
        """Whether jobs wait for their time: a delay, or the pause before a retry."""
        stats = [await self._of("engine::queue::topic_stats", name) for name in await self._names()]
        self.waiting_for = sorted({function_id for each in stats for function_id in each["waiting_for"]})
        return any(each["delayed"] for each in stats)

    async def newly_dead(self) -> list[dict[str, Any]]:
        """Dead letters that there were not when this was last asked."""
        found = []
        for name in await self._names():
            for letter in await self._of("engine::queue::dlq_messages", name, limit=_PAGE):
                if letter["id"] not in self._known:
                    self._known.add(letter["id"])
                    found.append({"queue": name, **letter})
        return found

    async def _names(self) -> list[str]:
        rows = await self._client.trigger_async({"function_id": "engine::queue::list_topics"})
        return sorted({row["name"] for row in rows})

    async def _of(self, function_id: str, name: str, **options: Any) -> Any:
        return await self._client.trigger_async({"function_id": function_id, "payload": {"topic": name, **options}})
