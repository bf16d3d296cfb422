"""The worker that a command is which others call: one that follows events, and comes back when the engine does."""

import os
import platform

from iii import InitOptions
from iii.cli.address import Address


def worker_options(address: Address, command: str) -> InitOptions:
    """It connects again."""
    # What a starter gave to a worker in the same environment is not this command's
    os.environ.pop("III_WORKER_NAME", None)
    os.environ.pop("III_NAMESPACE", None)
    # Unique, as the engine turns away a second worker of the same name; `iii-cli:` is known to it (W3, N8)
    return InitOptions(
        worker_name=f"iii-cli:{command}:{platform.node()}:{os.getpid()}",
        connect_timeout_ms=address.timeout_ms,
        enable_metrics_reporting=False,
        otel={"enabled": False},
        headers=address.headers,
        tls=address.tls,
    )
