"""Which modules there are: names, old classes, what runs by default, what implements it (00 §6 as data)."""

from importlib import import_module
from typing import Any, NamedTuple

from msgspec import Struct


class KnownModule(NamedTuple):
    """One row of table 6.

    Attributes:
        name: canonical; rows of runtime workers and messages use it whatever the file says (W11).
        alias: the later short name, accepted as well; not together with `name` (C6).
        classes: how files of the 0.9/0.10 era call it.
        mandatory: runs even if the file does not list it.
        in_default_set: runs if the file has no list of modules (C1).
        listens: its config has `host` and `port`.
        after_listeners: it starts when workers can connect (L3).
        has_entry: its settings can be set while it runs (18 §3.3).
        repeatable: several entries are several instances; otherwise a second entry is a mistake.
        implementation: `module:Class`, imported only when it runs.
        config: `module:Struct` of its block; None if it is the class's attribute `Config`.
    """

    name: str
    implementation: str
    alias: str | None = None
    classes: tuple[str, ...] = ()
    mandatory: bool = False
    in_default_set: bool = False
    listens: bool = False
    after_listeners: bool = False
    repeatable: bool = False
    has_entry: bool = False
    config: str | None = None

    def load(self) -> Any:
        """The module class."""
        return _imported(self.implementation)

    def config_type(self) -> type[Struct]:
        """The Struct that its block is decoded into."""
        config: type[Struct] = _imported(self.config) if self.config is not None else self.load().Config
        return config


def _imported(reference: str) -> Any:
    path, _, name = reference.partition(":")
    return getattr(import_module(path), name)


WORKER_MANAGER = KnownModule(
    "iii-worker-manager",
    "iii.server.worker_manager:WorkerManager",
    classes=("modules::worker::WorkerModule",),
    mandatory=True,
    listens=True,
    repeatable=True,
)
ENGINE_FUNCTIONS = KnownModule(
    "iii-engine-functions",
    "iii.engine.engine_functions:EngineFunctions",
    classes=("modules::engine_fn::EngineFunctionsModule",),
    mandatory=True,
    config="iii.server.engine_functions_config:EngineFunctionsConfig",
)
OBSERVABILITY = KnownModule(
    "iii-observability",
    "iii.modules.observability.module:Observability",
    has_entry=True,
    classes=("modules::observability::OtelModule",),
    mandatory=True,
)

CATALOGUE = (
    ENGINE_FUNCTIONS,
    OBSERVABILITY,
    KnownModule(
        "iii-telemetry",
        "iii.modules.telemetry.module:Telemetry",
        classes=("modules::telemetry::TelemetryModule",),
        mandatory=True,
    ),
    KnownModule(
        "configuration",
        "iii.modules.configuration.module:Configuration",
        mandatory=True,
        config="iii.modules.configuration.config:ConfigurationConfig",
    ),
    KnownModule(
        "iii-http",
        "iii.modules.http.module:Http",
        "http",
        ("modules::api::RestApiModule",),
        in_default_set=True,
        has_entry=True,
        listens=True,
        config="iii.modules.http.config:HttpConfig",
    ),
    KnownModule(
        "iii-stream",
        "iii.modules.stream.module:Streams",
        None,
        ("modules::stream::StreamModule",),
        in_default_set=True,
        has_entry=True,
        listens=True,
        config="iii.modules.stream.config:StreamConfig",
    ),
    KnownModule(
        "iii-state",
        "iii.modules.state.module:State",
        "state",
        ("modules::state::StateModule",),
        in_default_set=True,
        has_entry=True,
        config="iii.modules.state.config:StateConfig",
    ),
    KnownModule(
        "iii-queue",
        "iii.modules.queue.module:Queue",
        "queue",
        ("modules::queue::QueueModule", "workers::queue::QueueModule"),
        in_default_set=True,
        has_entry=True,
        config="iii.modules.queue.config:QueueConfig",
    ),
    KnownModule(
        "iii-pubsub",
        "iii.modules.pubsub.module:PubSub",
        "pubsub",
        ("modules::pubsub::PubSubModule",),
        in_default_set=True,
        has_entry=True,
        config="iii.modules.pubsub.config:PubSubConfig",
    ),
    KnownModule(
        "iii-cron",
        "iii.modules.cron.module:Cron",
        "cron",
        ("modules::cron::CronModule",),
        in_default_set=True,
        has_entry=True,
        config="iii.modules.cron.config:CronConfig",
    ),
    KnownModule(
        "iii-console",
        "iii.console.module:Console",
        in_default_set=True,
        config="iii.console.config:ConsoleConfig",
    ),
    KnownModule(
        "iii-http-functions",
        "iii.modules.http_functions.module:HttpFunctions",
        classes=("modules::http_functions::HttpFunctionsModule",),
        config="iii.modules.http_functions.config:HttpFunctionsConfig",
    ),
    WORKER_MANAGER,
    KnownModule(
        "iii-exec",
        "iii.modules.exec.module:Exec",
        classes=("modules::shell::ExecModule",),
        after_listeners=True,
        repeatable=True,
        config="iii.modules.exec.config:ExecConfig",
    ),
    KnownModule(
        "iii-bridge",
        "iii.modules.bridge.module:Bridge",
        classes=("modules::bridge_client::BridgeClientModule",),
        after_listeners=True,
        repeatable=True,
        config="iii.modules.bridge.config:BridgeConfig",
    ),
)

_BY_NAME = {name: row for row in CATALOGUE for name in (row.name, row.alias) if name is not None}
_BY_CLASS = {name: row for row in CATALOGUE for name in row.classes}


def by_name(name: str) -> KnownModule | None:
    """The row of a canonical name or alias; what follows a `#` only tells instances apart (07 §4.4 step 5)."""
    return _BY_NAME.get(name.partition("#")[0])


def by_class(name: str) -> KnownModule | None:
    """The row of an old class."""
    return _BY_CLASS.get(name)


def available() -> tuple[str, ...]:
    """Canonical names, for messages."""
    return tuple(sorted(row.name for row in CATALOGUE))
