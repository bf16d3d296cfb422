"""From a configuration file to what the engine starts with (07 §4.4, C1–C6, L1)."""

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from iii.modules.observability.config import ObservabilityConfig
from iii.modules.queue.config import QueueConfig
from iii.modules.queue.embedded.adapter import BuiltinAdapter
from iii.modules.queue.module import Queue
from iii.protocol.start_failure import StartFailure
from iii.server import catalogue, config_file, config_text
from iii.server.config_file import ModuleEntry, ServerConfig
from iii.testing import FakeClock, MemoryEngine

Load = Callable[..., ServerConfig]

MANDATORY = {"configuration", "iii-engine-functions", "iii-observability", "iii-telemetry", "iii-worker-manager"}
DEFAULT_SET = {"iii-console", "iii-cron", "iii-http", "iii-pubsub", "iii-queue", "iii-state", "iii-stream"}


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads a text as `config.yaml` of the working directory, with nothing but the given environment."""
    monkeypatch.chdir(tmp_path)

    def load(text: str, *, host: str | None = None, **environment: str) -> ServerConfig:
        Path("config.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
        return config_file.load(Path("config.yaml"), host=host, environment=environment)

    return load


def instances(config: ServerConfig) -> list[str]:
    return [entry.instance for entry in config.entries]


def worker_listeners(config: ServerConfig) -> list[ModuleEntry]:
    return [entry for entry in config.entries if entry.known is catalogue.WORKER_MANAGER]


def listeners(config: ServerConfig) -> list[tuple[str, int]]:
    blocks: list[Any] = [entry.config for entry in worker_listeners(config)]
    return [(block.host, block.port) for block in blocks]


def mistake(load: Load, text: str, **environment: str) -> str:
    with pytest.raises(StartFailure) as failure:
        load(text, **environment)
    assert "\n" not in str(failure.value)
    return str(failure.value)


# -- what runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{}", "workers:", "workers: []", "modules: []"])
def test_07_check_37_mandatory_modules_run_with_port_49134(text: str, load: Load) -> None:
    """And the default set, unless there is a list (C1)."""
    config = load(text)
    assert set(instances(config)) == MANDATORY | (set() if "[]" in text else DEFAULT_SET)
    assert listeners(config) == [("127.0.0.1", 49134)]
    assert (config.grace_ms, config.log_level, config.log_format) == (5000, "info", "default")


def test_C1_use_default_config_needs_no_file(load: Load) -> None:
    config = config_file.without_file(environment={})
    assert set(instances(config)) == MANDATORY | DEFAULT_SET
    assert (config.source, config.path) == ("default configuration", None)


def test_L3_worker_listeners_are_last(load: Load) -> None:
    config = load(
        "workers: [{name: iii-worker-manager}, {name: iii-observability}, {name: iii-worker-manager, config: {port: 0}}]"
    )
    assert instances(config)[0] == "iii-observability"
    assert instances(config)[-2:] == ["iii-worker-manager", "iii-worker-manager#1"]


def test_07_check_36_both_forms_start_the_same(load: Load) -> None:
    old = load(
        """
        port: ${III_PORT:49200}
        modules:
          - class: modules::worker::WorkerModule
          - class: modules::observability::OtelModule
            config: {level: debug, format: json}
        """
    )
    new = load(
        """
        workers:
          - name: iii-worker-manager
            config: {port: 49200}
          - name: iii-observability
            config: {level: debug, format: json}
        """
    )
    assert [(entry.instance, entry.config) for entry in old.entries] == [
        (entry.instance, entry.config) for entry in new.entries
    ]
    assert listeners(new) == [("127.0.0.1", 49200)]
    assert (new.log_level, new.log_format) == ("debug", "json")


def test_07_check_40_repeated_names_are_numbered(load: Load) -> None:
    config = load(
        """
        workers:
          - {name: iii-worker-manager, config: {port: 1}}
          - {name: "iii-worker-manager#rbac", config: {port: 2}}
          - {name: iii-worker-manager, config: {port: 3}}
          - {name: "iii-worker-manager#rbac", config: {port: 4}}
        """
    )
    assert [entry.instance for entry in worker_listeners(config)] == [
        "iii-worker-manager",
        "iii-worker-manager#rbac",
        "iii-worker-manager#1",
        "iii-worker-manager#2",
    ]
    assert [port for _, port in listeners(config)] == [1, 2, 3, 4]


def test_a_module_that_can_run_once_is_listed_once(load: Load) -> None:
    text = "workers: [{name: iii-observability}]\nmodules: [{class: 'modules::observability::OtelModule'}]"
    expected = "config.yaml:2: modules[0] (modules::observability::OtelModule): 'iii-observability' is already listed at workers[0]; keep one"
    assert mistake(load, text) == expected


def test_07_s8_1_accepted_and_ignored_telemetry_settings(load: Load) -> None:
    config = load(
        "workers: [{name: iii-telemetry, config: {enabled: false, sdk_api_key: x, heartbeat_interval_secs: 5}}]"
    )
    assert "iii-telemetry" in instances(config)


# -- names ----------------------------------------------------------------------------------------------------------


def test_07_check_39_deprecated_and_new_name_together(load: Load) -> None:
    """C6."""
    with pytest.raises(StartFailure) as failure:
        load("workers: [{name: iii-cron}, {name: cron}, {name: queue}, {name: iii-queue}]")
    lines = str(failure.value).splitlines()
    assert lines[0] == "Duplicate worker configurations:"
    assert sorted(lines[1:3]) == [
        "- 'iii-cron' is the deprecated name for 'cron', but both are present. "
        "Remove 'iii-cron' from your configuration.",
        "- 'iii-queue' is the deprecated name for 'queue', but both are present. "
        "Remove 'iii-queue' from your configuration.",
    ]
    assert lines[3:] == ["(in config.yaml)"]


AVAILABLE = (
    "Available: configuration, iii-bridge, iii-console, iii-cron, iii-engine-functions, iii-exec, iii-http, iii-http-functions, iii-observability, iii-pubsub, iii-queue, "
    "iii-state, iii-stream, iii-telemetry, iii-worker-manager"
)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{name: foo}", f"Unknown worker 'foo'. {AVAILABLE}"),
        (
            "{name: iii-observabilty}",
            f"Unknown worker 'iii-observabilty', did you mean 'iii-observability'? {AVAILABLE}",
        ),
        ("{name: 'foo#1'}", f"Unknown worker 'foo#1'. {AVAILABLE}"),
    ],
)
def test_07_s4_4_unknown_workers_are_told_what_there_is(entry: str, expected: str, load: Load) -> None:
    name = next(iter(yaml.safe_load(entry).values()))
    assert mistake(load, f"workers: [{entry}]") == f"config.yaml:1: workers[0] ({name}): {expected}"


def test_07_check_41_image_on_a_builtin_module(load: Load) -> None:
    assert mistake(load, "workers: [{name: iii-http, image: x/y}]") == (
        "config.yaml:1: workers[0] (iii-http): Worker 'iii-http' is a built-in worker and cannot have an 'image' field. "
        "Remove 'image' or use a different name."
    )


def test_every_row_of_the_catalogue_can_be_found() -> None:
    for row in catalogue.CATALOGUE:
        assert catalogue.by_name(row.name) is row
        assert row.alias is None or catalogue.by_name(row.alias) is row
        assert all(catalogue.by_class(name) is row for name in row.classes)


@pytest.mark.parametrize("row", catalogue.CATALOGUE, ids=lambda row: str(row.name))
def test_what_is_provided_can_be_loaded_and_agrees(row: catalogue.KnownModule) -> None:
    module = row.load()
    assert (module.name, module.mandatory) == (row.name, row.mandatory)
    config = row.config_type()()
    assert not row.listens or {"host", "port"} <= set(config.__struct_fields__)


# -- blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("{prot: 1}", "unknown key 'prot' (1), did you mean 'port'?"),
        ("{port: abc}", 'port: expected a whole number, got "abc"'),
        ("{port: 70000}", "port: expected a whole number <= 65535, got 70000"),
        ("{port: -1}", "port: expected a whole number >= 0, got -1"),
        ("{host: 5}", "host: expected text, got 5"),
        ("{registration_namespace_grace_ms: 1}", "unknown key 'registration_namespace_grace_ms'"),
        ("[]", "config: expected a mapping, got an empty list"),
    ],
)
def test_C4_a_bad_block_names_file_entry_key_and_value(block: str, expected: str, load: Load) -> None:
    text = f"workers: [{{name: iii-observability}}, {{name: iii-worker-manager, config: {block}}}]"
    assert mistake(load, text).startswith(f"config.yaml:1: workers[1] (iii-worker-manager): {expected}")


def test_C4_the_old_form_warns_and_ignores(load: Load) -> None:
    config = load("modules: [{class: 'modules::worker::WorkerModule', config: {prot: 1, port: 2}}]")
    assert listeners(config) == [("127.0.0.1", 2)]
    assert config.warnings == (
        "config.yaml:1: modules[0] (modules::worker::WorkerModule): unknown key 'prot' (1), did you mean 'port'?; "
        "it is ignored",
    )


def test_06_check_58_a_wrong_member_of_an_alert_is_named(load: Load) -> None:
    alert = "{name: a, metric: m, threshold: 1, treshold: 2}"
    place = "unknown key 'alerts[0].treshold' (2), did you mean 'threshold'?"
    text = f"workers: [{{name: iii-observability, config: {{alerts: [{alert}]}}}}]"
    assert mistake(load, text) == f"config.yaml:1: workers[0] (iii-observability): {place}"
    old = load(f"modules: [{{class: 'modules::observability::OtelModule', config: {{alerts: [{alert}]}}}}]")
    assert old.warnings == (f"config.yaml:1: modules[0] (modules::observability::OtelModule): {place}; it is ignored",)
    without = text.replace("treshold: 2", "operator: '>'").replace("threshold: 1, ", "")
    assert "threshold" in mistake(load, without)


def test_06_s11_a_level_for_an_unknown_source_is_a_warning(load: Load) -> None:
    config = load("workers: [{name: iii-observability, config: {level: 'info,iii.enginee=debug,iii.server=warn'}}]")
    place = "config.yaml:1: workers[0] (iii-observability)"
    assert config.warnings == (f"{place}: level: nothing logs under 'iii.enginee', did you mean 'iii.engine'?",)


def test_06_s5_1_log_level_is_an_older_name_of_level(load: Load) -> None:
    assert load("workers: [{name: iii-observability, config: {log_level: debug}}]").log_level == "debug"


# -- port, host, grace ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ports", "warned"),
    [
        ("port: 5000", [5000], False),
        ("port: 0", [49134], False),
        ("port: 5000\nmodules: []", [5000], False),
        ("port: 5000\nmodules: [{class: 'modules::worker::WorkerModule', config: {port: 6000}}]", [5000], False),
        ("modules: [{class: 'modules::worker::WorkerModule', config: {port: 6000}}]", [6000], False),
        ("port: 5000\nworkers: [{name: iii-worker-manager, config: {port: 6000}}]", [6000], True),
        (
            "port: 5000\nmodules: [{class: 'modules::worker::WorkerModule'}, {class: 'modules::worker::WorkerModule', "
            "config: {port: 6000}}]",
            [5000, 6000],
            False,
        ),
    ],
)
def test_C1_07_s3_2_top_level_port(text: str, ports: list[int], warned: bool, load: Load) -> None:
    config = load(text)
    assert [port for _, port in listeners(config)] == ports
    assert bool(config.warnings) == warned


def test_L1_host_once_for_all_listeners(load: Load) -> None:
    text = "workers: [{name: iii-worker-manager, config: {host: 127.0.0.1, port: 0}}, {name: iii-worker-manager}]"
    assert {host for host, _ in listeners(load(text, host="0.0.0.0"))} == {"0.0.0.0"}
    assert {host for host, _ in listeners(load(text, III_HOST="10.0.0.1"))} == {"10.0.0.1"}
    assert {host for host, _ in listeners(load(text, host="::", III_HOST="10.0.0.1"))} == {"::"}
    assert {host for host, _ in listeners(load(text, III_HOST=" "))} == {"127.0.0.1"}


def test_07_s4_3_grace_from_file_and_environment(load: Load) -> None:
    assert load("registration_namespace_grace_ms: 0").grace_ms == 0
    assert load("registration_namespace_grace_ms: 0", III_NAMESPACE_GRACE_MS="250").grace_ms == 250
    assert mistake(load, "", III_NAMESPACE_GRACE_MS="soon") == (
        'environment variable III_NAMESPACE_GRACE_MS: expected whole milliseconds, got "soon"'
    )


def test_04_check_14_unknown_key_of_a_queue(load: Load) -> None:
    queues = "config: {queue_configs: {jobs: {type: standard, max_retrys: 5}}}"
    assert mistake(load, f"workers: [{{name: iii-queue, {queues}}}]") == (
        "config.yaml:1: workers[0] (iii-queue): unknown key 'queue_configs.jobs.max_retrys' (5), did you mean 'max_retries'?"
    )
    config = load(f"modules: [{{class: 'modules::queue::QueueModule', {queues}}}]")
    assert any("max_retrys" in warning for warning in config.warnings)


def test_04_check_16_old_classes(load: Load) -> None:
    text = (
        "modules:\n- class: modules::queue::QueueModule\n  config:\n"
        "    adapter: {class: modules::queue::BuiltinQueueAdapter}\n"
        "    queue_configs: {payment: {type: fifo, message_group_field: transaction_id}}\n"
    )
    (entry,) = [entry for entry in load(text).entries if entry.instance == "iii-queue"]
    assert isinstance(entry.config, QueueConfig)
    module = Queue(MemoryEngine(FakeClock()).core, entry.config)
    assert set(module.queues) == {"default", "payment"}
    assert isinstance(module.adapter, BuiltinAdapter)


QUEUE = "config.yaml:1: workers[0] (iii-queue): "


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            "config: {adapter: {name: builtin, config: {store_methode: file_based}}}",
            "unknown key 'adapter.config.store_methode' (\"file_based\"), did you mean 'store_method'?",
        ),
        (
            "config: {adapter: {name: builtin, config: {durability: ful}}}",
            'adapter.config.durability: expected full or relaxed, got "ful"',
        ),
        (
            "config: {adapter: {class: 'modules::queue::BuiltinQueueAdapter', config: {store_method: file-based}}}",
            'adapter.config.store_method: expected in_memory or file_based, got "file-based"',
        ),
        (
            "config: {adapter: {name: bultin}}",
            "adapter.name: Adapter factory 'bultin' not found. Available: [bridge, builtin, rabbitmq, redis]. Did you mean 'builtin'?",
        ),
        (
            "config: {adapter: {name: redis, config: {redis_url: '127.0.0.1:6379'}}}",
            'adapter.config.redis_url: expected an address such as redis://localhost:6379, got "127.0.0.1:6379"',
        ),
        (
            "config: {adapter: {name: rabbitmq, config: {amqp_url: 'amq://ada:s3cret@h'}}}",
            "adapter.config.amqp_url: expected an address such as amqp://localhost:5672, got [hidden]",
        ),
        (
            "config: {access_log: true}",
            "unknown key 'access_log' (true); it is an option of iii-http",
        ),
        (
            "adapter: {name: builtin, config: {store_method: file_based}}",
            "key 'adapter' stands beside 'config:'; it belongs under 'config'",
        ),
        (
            "store_method: file_based",
            "key 'store_method' stands beside 'config:'; it belongs under 'config.adapter.config'",
        ),
        (
            "config: {store_method: file_based}",
            "unknown key 'store_method' (\"file_based\"); it belongs under 'config.adapter.config'",
        ),
        (
            "config: {adapter: {name: builtin, durability: relaxed}}",
            "unknown key 'adapter.durability' (\"relaxed\"); it belongs under 'config.adapter.config'",
        ),
        (
            "config: {adapter: {name: builtin, config: {queue_configs: {}}}}",
            "unknown key 'adapter.config.queue_configs' (an empty mapping); it belongs under 'config'",
        ),
        ("config: {queue_configs: {404: {}}}", "queue_configs.404: a key must be text; put it in quotes"),
        (
            "config: {held_messages: '5'}",
            'held_messages: expected a whole number, got "5"; write it without quotes',
        ),
    ],
)
def test_P3_mistakes_that_decide_what_is_kept_stop_the_start(entry: str, text: str, load: Load) -> None:
    """newcomer S5, bugs 16, 22, 27: a store that keeps nothing because of one letter is found out at once."""
    assert mistake(load, f"workers: [{{name: iii-queue, {entry}}}]") == QUEUE + text


@pytest.mark.parametrize(
    ("entry", "warning"),
    [
        (
            "{adapter: {class: 'modules::queue::BuiltinQueueAdapter', config: {colour: 1}}}",
            "unknown key 'adapter.config.colour'",
        ),
        (
            "{adapter: {name: builtin, config: {store_method: cloud}}}",
            'adapter.config.store_method: unknown value "cloud"',
        ),
        (
            "{store_method: file_based}",
            "unknown key 'store_method' (\"file_based\"); it belongs under 'config.adapter.config'; it is ignored",
        ),
    ],
)
def test_P3_old_files_are_warned(entry: str, warning: str, load: Load) -> None:
    """05 check 63, 04 §2.3: and the module works, in memory."""
    config = load(f"modules: [{{class: 'modules::queue::QueueModule', config: {entry}}}]")
    assert [warning in text for text in config.warnings] == [True]
    Queue(MemoryEngine(FakeClock()).core, next(e.config for e in config.entries if isinstance(e.config, QueueConfig)))


def test_07_check_38_an_unknown_key_beside_config_is_accepted_with_a_warning(load: Load) -> None:
    with pytest.raises(
        StartFailure, match="unknown key 'confg', did you mean 'config'"
    ):  # its settings would be lost (P3)
        load("workers: [{name: iii-queue, confg: {adapter: {name: builtin}}}]")
    assert load("workers: [{name: iii-queue, confg: {}, comment: x}]").warnings == (
        QUEUE + "unknown key 'confg' is ignored, did you mean 'config'?",
        QUEUE + "unknown key 'comment' is ignored; settings of the module belong under 'config:'",
    )
    old = load("modules: [{class: 'modules::queue::QueueModule', adapter: {}}]")
    assert "unknown key 'adapter' is ignored" in old.warnings[0]


def test_P4_the_home_folder(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """bugs 15: no folder of the name `~`."""
    monkeypatch.setenv("HOME", "/home/ada")
    block = "{adapter: {config: {store_method: file_based, file_path: ~/iii}}}"
    for name in ("iii-queue", "iii-state", "iii-stream"):
        config: Any = load(f"workers: [{{name: {name}, config: {block}}}]").entries[0].config
        assert config.adapter.config["file_path"] == "/home/ada/iii"


def test_bugs_17_keys_of_published_files_are_accepted(load: Load) -> None:
    text = "workers: [{name: iii-observability, config: {metrics_exporter: memory, logs_console_output: true}}]"
    assert load(text).warnings == ()


# -- the file -------------------------------------------------------------------------------------------------------


def test_C2_the_created_file_lists_what_exists_and_loads(load: Load) -> None:
    config_text.create(Path("config.yaml"))
    text = Path("config.yaml").read_text()
    config = load(text)
    assert text.startswith("# Configuration of the iii engine")
    numbered = text.splitlines()
    assert all(
        f"name: {entry.instance}" in numbered[int(str(entry.place).split(":")[1]) - 1]
        for entry in config.entries
        if entry.form is not None
    )
    assert [str(entry.place).split(": ", 1)[1] for entry in config.entries if entry.form is not None] == [
        "workers[1] (iii-http)",
        "workers[2] (iii-state)",
        "workers[3] (iii-stream)",
        "workers[4] (iii-queue)",
        "workers[5] (iii-pubsub)",
        "workers[6] (iii-cron)",
        "workers[7] (iii-console)",
        "workers[8] (iii-observability)",
        "workers[0] (iii-worker-manager)",
    ]
    assert {row.name for row in catalogue.CATALOGUE if row.in_default_set} <= {
        entry.instance for entry in config.entries
    }
    assert listeners(config) == [("127.0.0.1", 49134)]
    assert config.warnings == ()
    assert config.path == Path("config.yaml").absolute()


def test_C2_a_link_to_nowhere_is_told(load: Load) -> None:
    Path("config.yaml").symlink_to("nowhere")
    with pytest.raises(StartFailure, match=r"^config.yaml is a broken symbolic link; remove it"):
        config_text.create(Path("config.yaml"))


def test_an_unreadable_file_is_one_line(load: Load, tmp_path: Path) -> None:
    def failure(path: Path) -> str:
        with pytest.raises(StartFailure) as error:
            config_file.load(path, environment={})
        return str(error.value)

    assert failure(Path("missing.yaml")).startswith("Config file not found: 'missing.yaml'")
    assert failure(tmp_path) == (
        f"{tmp_path} is a directory, not a configuration file; name the file: -c {tmp_path}/config.yaml"
    )
    Path("latin1.yaml").write_bytes(b"# \xfc")
    assert failure(Path("latin1.yaml")) == "latin1.yaml: not UTF-8 text (byte 2); save the file as UTF-8"
    Path("config.yaml").write_text("")
    assert failure(Path("config.yaml/x")) == "cannot read config.yaml/x: Not a directory"
    with pytest.raises(StartFailure, match=r"cannot create nowhere/config.yaml: No such file or directory"):
        config_text.create(Path("nowhere/config.yaml"))


def test_a_byte_order_mark_is_skipped(load: Load) -> None:
    assert set(instances(load("\ufeffworkers: []"))) == MANDATORY


def test_07_check_35_an_unset_variable_is_one_line(load: Load) -> None:
    assert mistake(load, "port: ${NOT_SET}") == (
        "config.yaml:1: Environment variable 'NOT_SET' not set and no default provided; "
        "set it, or write ${NOT_SET:DEFAULT}"
    )


def test_05_check_66_old_classes_of_state_and_streams_load(load: Load) -> None:
    config = load(
        "modules:\n"
        "- class: modules::state::StateModule\n"
        "  config: {adapter: {class: 'modules::state::adapters::KvStore', config: {store_method: file_based}}}\n"
        "- class: modules::stream::StreamModule\n"
        "  config: {port: 3112, adapter: {class: 'modules::stream::adapters::RedisAdapter', config: {redis_url: 'redis://x'}}}\n"
    )
    state, stream = (entry.config for entry in config.entries[:2])
    assert state.adapter.kind(state.adapters) == "kv"  # type: ignore[attr-defined]
    assert stream.adapter.class_ == "modules::stream::adapters::RedisAdapter"  # type: ignore[attr-defined]


@pytest.mark.parametrize("entry", ["{name: state, config: {ttl: 1}}", "{name: iii-stream, config: {hots: x}}"])
def test_05_check_63_an_unknown_key_ends_the_start(entry: str, load: Load) -> None:
    assert "unknown key" in mistake(load, f"workers: [{entry}]")


def test_06_5_1_the_environment_counts_with_and_without_a_block_and_bounds_are_kept(tmp_path: Path) -> None:
    """06 check 58: of an unknown key the name is an error in the new form and a warning in the old one."""
    path = tmp_path / "config.yaml"

    def read(text: str) -> tuple[ObservabilityConfig, tuple[str, ...]]:
        path.write_text(text)
        config = config_file.load(path, environment={"OTEL_EXPORTER_TYPE": "BOTH", "OTEL_MEMORY_MAX_SPANS": "77"})
        entry = next(entry for entry in config.entries if entry.instance == "iii-observability")
        assert isinstance(entry.config, ObservabilityConfig)
        return entry.config, config.warnings

    without, _ = read("workers: []")
    assert (without.exporter, without.memory_max_spans) == ("both", 77)
    block, warnings = read(
        "workers: [{name: iii-observability, config: {memory_max_spans: 0, sampling_ratio: 7, exporter: memory}}]"
    )
    assert (block.exporter, block.memory_max_spans, block.sampling_ratio) == ("memory", 77, 1.0)
    assert sum("memory_max_spans: 0 counts as not given" in line for line in warnings) == 1
    with pytest.raises(StartFailure, match="bogus"):
        read("workers: [{name: iii-observability, config: {bogus: 1}}]")
    _, warnings = read("modules: [{class: 'modules::observability::OtelModule', config: {bogus: 1}}]")
    assert sum("'bogus'" in line and "ignored" in line for line in warnings) == 1
