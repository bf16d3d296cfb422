"""durable C1, M1: every system call of a store fails in every way, at any position (strace), and then comes a kill -9.

Each write is answered, none that was acknowledged is missing, the process never hangs.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from iii.storage.database import Database
from tests.chaos.store_process import TABLE, WRITERS, WRITES

FILES = ("store.db", "store.db-wal", "store.db-shm", "lock")
OF_FILES = ("openat", "pwrite64", "pread64", "fdatasync", "fsync", "ftruncate", "mmap", "rename", "unlink")
OF_KERNEL = ("io_setup", "io_submit", "io_getevents", "io_pgetevents")
OTHER_NAMES = {"EDEADLOCK": "EDEADLK", "ENOTSUP": "EOPNOTSUPP"}  # of strace
LIMIT_S = 60.0
SAMPLES = [  # of the review, and those that are never drawn
    ("io_setup", "error=EAGAIN"), ("io_setup", "error=ENOSYS"), ("io_setup", "error=EPERM"),
    ("io_submit", "error=EAGAIN:when=3"), ("io_submit", "error=EINVAL"), ("io_submit", "retval=1:when=2"),
    ("io_getevents", "retval=0"), ("io_getevents", "error=EINTR:when=2+"), ("fdatasync", "error=EIO"), ("fsync", "error=EIO"),
    ("fdatasync", "error=EIO:when=3"), ("fdatasync", "error=EINTR:when=3+"), ("pwrite64", "error=ENOSPC:when=5+"),
]  # fmt: skip


def drawn(seed: int) -> tuple[str, str]:
    chance = random.Random(seed)
    call = chance.choice(OF_FILES + OF_KERNEL)
    which = f"{chance.randint(1, 9)}{chance.choice(['', '', '+', '+3'])}"
    name = errno.errorcode[chance.choice(list(errno.errorcode))]
    return call, f"error={OTHER_NAMES.get(name, name)}:when={which}"


CASES = [
    (durability, call, fault)
    for call, fault in [*SAMPLES, *map(drawn, range(30))]
    for durability in ("full", "relaxed")
    if durability == "full" or call in OF_FILES  # relaxed asks nothing of the kernel
]


@pytest.mark.skipif(shutil.which("strace") is None and os.environ.get("CI") != "true", reason="needs strace")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("durability", "call", "fault"), CASES)
def test_durable_C1_durable_M1_whatever_the_system_refuses(
    durability: str, call: str, fault: str, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    asyncio.run(numbers(folder))  # the files are there, so that strace knows them
    paths = [option for name in FILES for option in ("-P", str(folder / name))] if call in OF_FILES else []
    trace = [
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-qqq",
        "-o",
        "/dev/null",
        *paths,
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:{fault}",
    ]
    said: list[list[str]] = []
    with (
        (tmp_path / "log").open("w") as errors,
        subprocess.Popen(
            [*trace, sys.executable, "-m", "tests.chaos.store_process", str(folder), durability],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        ) as process,
    ):  # fmt: skip
        too_late = threading.Timer(LIMIT_S, process.kill)
        too_late.start()
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.split())
            if said[-1] == ["end"]:
                break
        too_late.cancel()
        too_late.join()
        process.kill()
    log = (tmp_path / "log").read_text()
    assert said, log
    assert said[-1] == ["end"], (said, log)
    if said[0][0] == "open":
        answered = sorted(int(number) for answer, number in said[1:-1] if answer in ("ok", "failed"))
        assert answered == list(range(WRITERS * WRITES + (durability == "relaxed"))), (said, log)
    else:
        assert said[0][0] == "refused", log
    acknowledged = {int(words[1]) for words in said if words[0] == "ok"}
    assert asyncio.run(numbers(folder)) >= acknowledged, log
    if (call, fault) == ("fsync", "error=EIO") and durability == "relaxed":
        assert "Store is lost" in log
        assert "fsync failed" in log
    if call in OF_KERNEL and durability == "full":
        assert len(acknowledged) == WRITERS * WRITES, log


async def numbers(folder: Path) -> set[int]:
    store = Database(folder, TABLE)
    await store.open()
    try:
        return {n for (n,) in store.reader.execute("SELECT n FROM numbers")}
    finally:
        await store.close()
