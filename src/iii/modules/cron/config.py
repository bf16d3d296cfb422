"""The `iii-cron` block (04 §12.1, C13)."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from iii.protocol.without_effect import without_effect
from iii.storage.adapter import AdapterConfig, Adapters, RedisConfig, StoreMethod

_STORE = without_effect("locks are kept in memory")


class KvLocksConfig(Struct, frozen=True, kw_only=True):
    """The block of the adapter `kv`; where its store would be makes no difference to locks of one process."""

    lock_ttl_ms: Annotated[int, Meta(ge=1, description="Longest time that a lock is held, in milliseconds.")] = 30_000
    lock_index: Annotated[str, Meta(description="Name of the set of locks.")] = "cron_locks"
    store_method: Annotated[StoreMethod, _STORE] = "in_memory"
    file_path: Annotated[str, _STORE] = "kv_store_data.db"
    save_interval_ms: Annotated[int, _STORE] = 5000


class CronConfig(Struct, frozen=True, kw_only=True):
    """Schedules."""

    adapters: ClassVar = Adapters(
        {
            "kv": "kv",
            "local": "kv",
            "redis": "redis",
            "modules::cron::KvCronAdapter": "kv",
            "modules::cron::RedisCronAdapter": "redis",
        },
        {"kv": KvLocksConfig, "redis": RedisConfig},
    )

    adapter: Annotated[AdapterConfig, Meta(description="Where the locks of schedules are.")] = AdapterConfig()
    day_of_week: Annotated[
        Literal["documented", "quartz"],
        Meta(
            description="Numbering of days of the week: `documented` has 0 or 7 for Sunday, 1 for Monday; `quartz` has 1 for "
            "Sunday to 7 for Saturday. Names are the same in both."
        ),
    ] = "documented"
