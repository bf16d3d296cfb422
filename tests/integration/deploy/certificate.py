"""A certificate for this machine, made by openssl."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """Signed by itself, so that it is its own CA."""

    file: Path
    key: Path


def made(folder: Path) -> Certificate:
    made = Certificate(folder / "localhost.pem", folder / "localhost.key")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run(
        [*words, "-subj", "/CN=localhost", "-addext", names, "-keyout", made.key, "-out", made.file],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made
