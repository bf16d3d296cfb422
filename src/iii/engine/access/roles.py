"""Ready-made rights for tokens: what most people who connect are (20 §2)."""

from __future__ import annotations

from msgspec import Struct

from iii.engine.access.filters import FunctionFilter
from iii.engine.access.pattern import Patterns
from iii.protocol.names import FUNCTIONS_AVAILABLE, WORKERS_AVAILABLE

_READS = (
    "engine::functions::*", "engine::workers::list", "engine::workers::info", "engine::triggers::*", "engine::trigger-types::*",
    "engine::registered-triggers::*", "engine::metrics::*", "engine::rollups::list", "engine::alerts::list", "engine::health::*",
    "engine::logs::list", "engine::traces::list", "engine::traces::tree", "engine::traces::group_by", "engine::traces::follow", "engine::queue::list_topics",
    "engine::queue::topic_stats", "engine::queue::dlq_topics", "engine::queue::job", "engine::queue::jobs",
    "engine::queue::history", "engine::channels::list", "engine::access::sessions", "engine::streams::subscribers",
)  # fmt: skip
_WORKS = (
    "engine::functions::*", "engine::triggers::list", "engine::triggers::info", "engine::trigger-types::list",
    "engine::registered-triggers::*", "engine::workers::list", "engine::workers::info", "engine::invocations::cancel",
    "engine::queue::enqueue", "engine::queue::job", "engine::queue::wait", "engine::health::check", "publish", "enqueue",
    "iii::durable::publish", "state::*", "stream::*",
)  # fmt: skip
# Not values of `configuration`: an entry may show every variable of the engine, and name functions that it calls
_OPERATES = (
    "engine::workers::drain", "engine::workers::disconnect", "engine::invocations::cancel", "engine::queue::*", "iii::queue::*", "engine::logs::clear",
    "engine::traces::clear", "engine::alerts::*", "engine::register_trigger", "engine::unregister_trigger", "engine::fire_trigger", "configuration::list",
    "configuration::schema",
)  # fmt: skip


class Role(Struct, frozen=True):
    """What it may call, and whether it may register.

    Attributes:
        calls_urls: whether functions that it registers may be URLs.
        sees_all: whether lists show it also what it may not call.
    """

    filters: tuple[FunctionFilter, ...]
    registers: bool = False
    provides: bool = False
    calls_urls: bool = False
    sees_all: bool = False


def _role(*patterns: str, registers: bool = False, sees_all: bool = False, admin: bool = False) -> Role:
    exposed = FunctionFilter(Patterns(patterns), namespace=None)
    return Role((exposed,), registers=registers, provides=admin, calls_urls=admin, sees_all=sees_all)


EVERYTHING = FunctionFilter(Patterns(["*"]), namespace=None)

# Not `log` and `trace`, which tell what all others do
WORKERS_TRIGGER_TYPES = frozenset(
    {
        "http", "cron", "subscribe", "queue", "durable:subscriber", "state", "stream", "stream:join", "stream:leave",
        "configuration", FUNCTIONS_AVAILABLE, WORKERS_AVAILABLE,
    }
)  # fmt: skip

ROLES = {
    "observer": _role(*_READS, sees_all=True),
    "worker": _role(*_WORKS, registers=True),
    "operator": _role(*_READS, *_OPERATES, sees_all=True),
    "admin": _role("*", registers=True, sees_all=True, admin=True),
}
"""By name, as `allow` of a token has it."""
