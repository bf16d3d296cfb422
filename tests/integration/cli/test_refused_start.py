"""A start that cannot succeed: one readable line, exit code 1, never a traceback (07 §4)."""

import socket
import sqlite3
from pathlib import Path

import pytest

from iii.modules.queue.jobs.schema import MIGRATIONS
from tests.integration.cli.running import Iii
from tests.processes import free_port


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers: [", ["config.yaml:", "not valid YAML"]),
        ("wokers: []", ["config.yaml", "'wokers'", "'workers'"]),
        (
            "workers: [{name: iii-frobnicate}]",
            ["config.yaml", "workers[0]", "Unknown worker 'iii-frobnicate'", "Available"],
        ),
        ("workers: [{name: iii-worker-manager, config: {prot: 1}}]", ["config.yaml", "'prot'", "'port'"]),
        ("workers: [{name: iii-worker-manager, config: {port: abc}}]", ["config.yaml", "port", '"abc"']),
        ("workers: [{name: iii-worker-manager, config: {port: 65536}}]", ["config.yaml", "port", "65536"]),
        (
            "workers: [{name: iii-queue, config: {queue_configs: {q: {type: x}}}}]",
            ["config.yaml:1: workers[0] (iii-queue): Queue 'q' has invalid type 'x'. Must be 'standard' or 'fifo'"],
        ),
        (
            "workers: [{name: iii-queue, config: {adapter: {name: builtin, config: {store_metod: file_based}}}}]",
            [
                "config.yaml:1: workers[0] (iii-queue): unknown key 'adapter.config.store_metod' (\"file_based\"), did you mean 'store_method'?"
            ],
        ),
        ("port: ${NOT_SET}", ["config.yaml:1", "'NOT_SET' not set and no default provided"]),
        ("workers: [{name: iii-worker-manager, config: {host: 203.0.113.7, port: 0}}]", ["203.0.113.7"]),
        ("workers: [{name: iii-worker-manager, config: {host: no such host, port: 0}}]", ["no such host"]),
    ],
)
def test_a_bad_configuration_is_one_line(text: str, words: list[str], iii: Iii, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    done = iii()
    error = done.stderr
    assert (done.returncode, done.stdout) == (1, "")
    assert error.startswith("Error: ")
    assert [word for word in words if word not in error] == []
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("iii-stream, config: {port: 0, adapter: {name: redis, config: {redis_url: 'redis://127.0.0.1:1'}}}", "connect to Redis at redis://127.0.0.1:1"),
        ("iii-queue, config: {queue_configs: {q: {}}, adapter: {name: rabbitmq, config: {amqp_url: 'amqp://127.0.0.1:1'}}}", "connect to RabbitMQ at amqp://127.0.0.1:1"),
        ("iii-state, config: {adapter: {name: redis, config: {redis_url: nonsense}}}", "redis_url: "),
    ],
)  # fmt: skip
def test_bugs_13_16_what_a_module_needs_and_does_not_get_is_named_with_its_entry(
    entry: str, words: str, iii: Iii, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(
        f"workers:\n- {{name: iii-worker-manager, config: {{port: 0}}}}\n- {{name: {entry}}}"
    )
    done = iii()
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"Error: config.yaml:3: workers[1] ({entry.partition(',')[0]}): ")
    assert words in last
    assert "Traceback" not in done.stderr


def test_a_damaged_store_of_jobs_is_one_line(iii: Iii, tmp_path: Path) -> None:
    """Whatever part of it is damaged, and what is there stays."""
    (tmp_path / "config.yaml").write_text(
        "workers: [{name: iii-worker-manager, config: {port: 0}}, {name: iii-queue, config: "
        "{adapter: {name: builtin, config: {store_method: file_based, file_path: data}}}}]"
    )
    folder = tmp_path / "data" / "queue"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "store.db") as store:
        store.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1")
    store.close()
    content = bytearray((folder / "store.db").read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    (folder / "store.db").write_bytes(content)
    done = iii()
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: config.yaml:1: workers[1] (iii-queue): the store data/queue/store.db is damaged (")
    assert "Traceback" not in done.stderr
    assert (folder / "store.db").read_bytes()[4096:] == content[4096:]


def test_07_check_43_a_taken_port_is_named(iii: Iii, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "config.yaml").write_text(f"workers: [{{name: iii-worker-manager, config: {{port: {port}}}}}]")
        done = iii()
    assert done.returncode == 1
    place = "config.yaml:1: workers[0] (iii-worker-manager)"
    assert done.stderr.startswith(f"Error: {place}: address 127.0.0.1:{port} is already in use: another ")
    assert done.stderr.count("\n") == 1


def test_16_s5_a_taken_port_for_prometheus_is_named_by_its_own_key(iii: Iii, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = f"workers:\n- {{name: iii-worker-manager, config: {{port: 0}}}}\n- name: iii-observability\n  config:\n    level: info\n    prometheus_port: {port}\n"
        (tmp_path / "config.yaml").write_text(config)
        done = iii()
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        f"Error: config.yaml:6: workers[1] (iii-observability): address 127.0.0.1:{port} is already in use: "
    )
    assert last.endswith("set another `prometheus_port`")


def test_unreadable_files_are_one_line(iii: Iii, tmp_path: Path) -> None:
    (tmp_path / "latin1.yaml").write_bytes(b"# \xfc")
    for arguments, words in (
        (["-c", "."], "is a directory"),
        (["-c", "latin1.yaml"], "not UTF-8"),
        (["-c", "no/such/folder.yaml"], "cannot create no/such/folder.yaml"),
    ):
        done = iii(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: ")
        assert words in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
@pytest.mark.parametrize("by", ["--host", "III_HOST"])
def test_L1_a_host_that_cannot_be_bound_is_blamed_on_who_named_it(iii: Iii, tmp_path: Path, host: str, by: str) -> None:
    (tmp_path / "config.yaml").write_text("workers: [{name: iii-worker-manager, config: {port: 0}}]")
    done = iii("--host", host) if by == "--host" else iii(III_HOST=host)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"Error: {by}: workers[0] (iii-worker-manager): failed to bind to {host}:0: ")
    assert "set `host` to an address of this machine" in last
    assert "config.yaml" not in last


@pytest.mark.parametrize(
    ("first", "second", "twice"),
    [
        ("127.0.0.1", "localhost", True), ("0.0.0.0", "127.0.0.1", True), ("127.0.0.1", "127.0.0.2", False), ("::", "::1", True),
    ],
)  # fmt: skip
def test_L2_a_port_that_one_file_gives_twice_is_named_with_both(
    iii: Iii, tmp_path: Path, first: str, second: str, twice: bool
) -> None:
    port = free_port()
    (tmp_path / "config.yaml").write_text(
        f"workers:\n- {{name: iii-http, config: {{host: '{first}', port: {port}}}}}\n"
        f"- name: iii-worker-manager\n  config:\n    host: '{second}'\n    port: {port}\n"
        "- {name: iii-state, config: {adapter: {name: redis, config: {redis_url: 'redis://127.0.0.1:1'}}}}\n"  # never ready
    )
    done = iii()
    assert done.returncode == 1
    text = (
        f"Error: config.yaml:6: workers[1] (iii-worker-manager): port {port} is already in use by "
        "config.yaml:2: workers[0] (iii-http); set another `port` for one of them"
    )
    assert (text in done.stderr) is twice


@pytest.mark.parametrize(
    "entry",
    [
        "iii-worker-manager, config: {host: '${S}', port: 0}",
        "iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: '/dev/null/${S}'}}}",
        "iii-state, config: {adapter: {name: redis, config: {redis_url: 'redis://${S}.invalid:1'}}}",
        "iii-state, config: {adapter: {name: redis, config: {redis_url: 'redis://127.0.0.1:1/${S}'}}}",
        "iii-queue, config: {queue_configs: {'${S}': {type: nope}}}",
        "iii-queue, config: {queue_configs: {q: {}}, adapter: {name: rabbitmq, config: {amqp_url: 'amqp://${S}:x@127.0.0.1:1/${S}'}}}",
    ],
)  # fmt: skip
def test_attack_7_a_start_that_fails_names_the_variable_not_its_value(entry: str, iii: Iii, tmp_path: Path) -> None:
    entry = entry if "worker-manager" in entry else f"iii-worker-manager, config: {{port: 0}}}}, {{name: {entry}"
    level = "{name: iii-observability, config: {level: '${S},${S}=debug'}}"
    (tmp_path / "config.yaml").write_text(f"workers: [{{name: {entry}}}, {level}]")
    done = iii(S="hunter2-hunter2")
    assert done.returncode == 1
    assert "Error: config.yaml:1: workers[" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
