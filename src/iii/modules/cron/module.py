"""`iii-cron`: the trigger type `cron` (04 §12)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import ClassVar
from zoneinfo import ZoneInfo

import msgspec

from iii.engine.bindings import Binding, config_for_builtin
from iii.engine.config_members import warn_of_unknown_members
from iii.engine.engine import Engine
from iii.engine.module import Module
from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.engine.trigger_types import TriggerType
from iii.modules.cron.config import CronConfig, KvLocksConfig
from iii.modules.cron.job import CronEvent, CronJob, CronTriggerConfig
from iii.modules.cron.locks import KvLocks, Locks, RedisLocks
from iii.modules.cron.observed import ObservedTicks
from iii.protocol.cron_expression import Expression, InvalidExpression
from iii.protocol.errors import TriggerRegistrationFailed
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.storage.adapter import RedisConfig

_STARTED_AT_ONCE = 20  # about 3 ms


class _Sent(msgspec.Struct):
    """As registered, with whatever types a worker used."""

    expression: object = None
    condition_function_id: object = None
    timezone: object = "UTC"
    timeout_ms: object = None


class Cron(Module):
    """Attributes:
    look_again_s: how often jobs look at the wall clock, which people and NTP set.
    """

    name = "iii-cron"
    description = "Schedule functions with cron expressions."
    Config: ClassVar = CronConfig
    look_again_s: ClassVar = 60.0

    def __init__(self, engine: Engine, config: CronConfig | None = None, instance: str | None = None) -> None:
        """Raises StartFailure."""
        super().__init__(engine, instance)
        self.config = config or CronConfig()
        self.jobs: dict[str, CronJob] = {}
        self._unstarted: deque[CronJob] = deque()
        self._stopping = False
        self._observed = ObservedTicks(engine, self.config.day_of_week, self.look_again_s)
        adapter = self.config.adapter
        self._locks: Locks
        if adapter.kind(self.config.adapters) == "redis":
            self._locks = RedisLocks(adapter.block(RedisConfig).redis_url, engine.clock)
        else:
            kv = adapter.block(KvLocksConfig)
            self._locks = KvLocks(engine.clock, kv.lock_index, kv.lock_ttl_ms)

    async def start(self) -> None:
        """Raises StartFailure."""
        await self._locks.open()

    async def quiet(self) -> None:
        """No further tick."""
        self._stopping = True
        for job in self.jobs.values():
            job.stop()
        self.jobs.clear()
        self._observed.stop()

    async def stop(self) -> None:
        """Let go of the locks."""
        await self._locks.close()

    def trigger_types(self) -> Iterator[TriggerType]:
        yield TriggerType(
            DEFAULT_NAMESPACE,
            "cron",
            self,
            "Cron trigger",
            config_schema=late_schema(CronTriggerConfig),
            call_schema=late_schema(CronEvent),
        )

    def sources(self) -> Iterator[EventSource]:
        yield self._observed.source

    def bind(self, binding: Binding) -> None:
        if self._stopping:
            raise TriggerRegistrationFailed(f"cron scheduler is shutting down; cannot register job '{binding.id}'")
        config = _config(binding)
        zone = _zone(config.timezone)
        try:
            expression = Expression(config.expression, zone, self.config.day_of_week)
        except InvalidExpression as error:
            shown = config.expression if len(config.expression) <= 200 else f"{config.expression[:200]}…"
            raise TriggerRegistrationFailed(f"Invalid cron expression '{shown}': {error}") from None
        self.unbind(binding)
        job = self.jobs[binding.id] = CronJob(self.engine, binding, config, expression, self._locks, self.look_again_s)
        self._unstarted.append(job)
        if len(self._unstarted) == 1:
            self._start_soon()

    def _start_soon(self) -> None:
        self.engine.clock.call_at(self.engine.clock.now(), self._start_some)

    def _start_some(self) -> None:
        """A worker may come with thousands of schedules: others have their turn between them."""
        for _ in range(min(len(self._unstarted), _STARTED_AT_ONCE)):
            job = self._unstarted.popleft()
            if not job.stopped:
                job.start()
        if self._unstarted:
            self._start_soon()

    def unbind(self, binding: Binding) -> None:
        job = self.jobs.pop(binding.id, None)
        if job is not None:
            job.stop()


def _config(binding: Binding) -> CronTriggerConfig:
    """Raises TriggerRegistrationFailed."""
    try:
        sent = msgspec.json.decode(config_for_builtin(binding), type=_Sent)
    except msgspec.ValidationError:
        sent = _Sent()
    if not isinstance(sent.expression, str) or not sent.expression:
        raise TriggerRegistrationFailed("Cron expression is required")
    warn_of_unknown_members(binding, CronTriggerConfig.__struct_fields__)
    zone = "UTC" if sent.timezone is None else sent.timezone
    try:
        return msgspec.convert({**msgspec.structs.asdict(sent), "timezone": zone}, CronTriggerConfig)
    except msgspec.ValidationError as error:
        raise TriggerRegistrationFailed(f"Failed to parse trigger config: {error}") from None


def _zone(name: str) -> ZoneInfo:
    """Raises TriggerRegistrationFailed."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise TriggerRegistrationFailed(
            f"Invalid timezone '{name[:100]}': expected an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from None
