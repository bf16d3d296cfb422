"""Where contexts are kept; apart from them, so that commands load nothing when there are none."""

import os
from collections.abc import Mapping
from pathlib import Path

NONE = "default"  # the name of no context: what commands do without any


def contexts_file(environment: Mapping[str, str] = os.environ) -> Path:
    """The file; it need not exist."""
    configured = environment.get("XDG_CONFIG_HOME", "").strip()
    folder = Path(configured) if os.path.isabs(configured) else Path(os.path.expanduser("~/.config"))
    return folder / "iii" / "contexts.yaml"
