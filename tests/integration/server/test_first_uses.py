"""What an engine needs is imported before it serves: an import at the first use would hold its loop (kind 2)."""

import time
import urllib.request

import iii
from tests.processes import EngineProcess, free_port

CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}}
  - name: iii-http
    config: {host: 127.0.0.1, port: HTTP}
  - name: iii-state
    config: {adapter: {name: kv, config: {store_method: file_based, file_path: ./data}}}
  - name: iii-stream
    config: {host: 127.0.0.1, port: 0, adapter: {name: kv, config: {store_method: file_based, file_path: ./data}}}
  - name: iii-queue
    config: {adapter: {name: builtin, config: {store_method: file_based, file_path: ./data}}}
  - name: iii-cron
  - name: iii-pubsub
"""


def test_kind_2_nothing_is_imported_at_a_first_use() -> None:
    http = free_port()
    happened: list[object] = []
    with EngineProcess(config=CONFIG.replace("HTTP", str(http)), env={"PYTHONPROFILEIMPORTTIME": "1"}) as engine:
        started = len(engine.log_path.read_text())
        worker = iii.register_worker(engine.url, iii.InitOptions(worker_name="first"))

        def noted(payload: object) -> dict[str, int]:
            happened.append(payload)
            return {"status_code": 200}

        worker.register_function("first::noted", noted)
        for kind, config in {
            "http": {"api_path": "/first", "http_method": "POST"},
            "cron": {"expression": "* * * * * * *"},
            "subscribe": {"topic": "first"},
            "durable:subscriber": {"topic": "kept"},
            "state": {"scope": "s"},
            "stream": {"stream_name": "s"},
        }.items():
            worker.register_trigger({"type": kind, "function_id": "first::noted", "config": config})
        for function_id, payload in (
            ("state::set", {"scope": "s", "key": "k", "value": 1}),
            ("state::update", {"scope": "s", "key": "k", "ops": [{"type": "set", "path": "a", "value": 1}]}),
            ("stream::set", {"stream_name": "s", "group_id": "g", "item_id": "i", "data": {}}),
            ("publish", {"topic": "first", "data": 1}),
            ("iii::durable::publish", {"topic": "kept", "data": 1}),
            ("engine::functions::list", {}),
        ):
            worker.trigger({"function_id": function_id, "payload": payload})
        request = urllib.request.Request(
            f"http://127.0.0.1:{http}/first", data=b"{}", headers={"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            assert response.status == 200
        give_up_at = time.monotonic() + 60
        while len(happened) < 8 and time.monotonic() < give_up_at:
            time.sleep(0.01)
        worker.shutdown()
        imported = [line for line in engine.log_path.read_text()[started:].splitlines() if "import time:" in line]
        assert not imported
