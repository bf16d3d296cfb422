"""What the start of an engine does without (24 §12)."""

import subprocess
import sys

_START = """
import sys
import iii.server.process
from iii.server.catalogue import CATALOGUE
for each in CATALOGUE:
    if each.mandatory or each.in_default_set:
        each.load(), each.config_type()
print(sorted(set(sys.modules) & {dear}))
"""


def test_24_s12_an_engine_imports_nothing_that_only_some_settings_need() -> None:
    """Each came in unseen, and took as long as ten of our own rooms; aiohttp as long as a hundred."""
    dear = {
        "aio_pika", "aiohttp", "attr", "google.protobuf", "grpc", "http.client", "iii.console.serving", "iii.sdk", "iii.testing",
        "jsonschema", "jsonschema_rs", "opentelemetry", "prometheus_client", "psutil", "pydantic", "redis", "rich", "urllib.request",
        "watchdog", "yarl",
    }  # fmt: skip
    program = _START.replace("{dear}", repr(dear))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n", done.stdout
