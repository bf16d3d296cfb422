"""Log records as tests make them."""

from typing import Any

from iii.modules.observability.log_text import complete
from iii.modules.observability.records import LogRecord


def record(body: str = "hello", **members: Any) -> LogRecord:
    """One of a worker, completed as ingest does."""
    given = {
        "timestamp_unix_nano": 1_795_438_346_156_765_365, "observed_timestamp_unix_nano": 1_795_438_346_156_765_636, "severity_number": 9,
        "severity_text": "", "attributes": {}, "trace_id": None, "span_id": None, "resource": {"service.name": "orders"},
        "service_name": "orders", **members,
    }  # fmt: skip
    made = LogRecord(body=body, **given)
    complete(made)
    return made
