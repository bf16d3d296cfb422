"""Whether this machine lets tests make namespaces and layers, as containers have them."""

import os
import subprocess
import sys

import pytest


def _why_not() -> str | None:
    if sys.platform != "linux" or os.getuid() != 0:
        return "namespaces need Linux and root"
    script = (
        "mount -t tmpfs t /mnt && cd /mnt && mkdir a b c && mount -t overlay o -o lowerdir=/,upperdir=a,workdir=b c"
    )
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-ec", script], capture_output=True, text=True
    )
    return None if tried.returncode == 0 else f"this machine allows no namespaces: {tried.stderr.strip()}"


_reason = _why_not()
needs_namespaces = pytest.mark.skipif(_reason is not None, reason=str(_reason))
