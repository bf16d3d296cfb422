"""A program that runs as process 1 of an image: read-only files, a data folder, a /tmp in memory, no other process to be seen."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.integration.deploy.dockerfile import Image
from tests.processes import LineProcess


class Container:
    """`docker run --read-only --tmpfs /tmp -v DATA:/data IMAGE ARGUMENTS`."""

    def __init__(
        self, image: Image, data: Path, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._image = image
        self._environment = environment or {}
        root = image.root
        script = " && ".join([
            f"mkdir -p {root}/tmp",
            f"mount -t tmpfs tmpfs {root}/tmp",
            f"mount --bind {data} {root}/data",
            f"mount -o remount,ro {root}",
        ])  # fmt: skip
        words = [*image.command("ENTRYPOINT"), *(arguments or image.command("CMD"))]
        inside = image.inside(words, self._environment)
        self._process = LineProcess(
            image.mounted(f"mkdir -p {root}/data; {script} && exec {inside}"), stderr=subprocess.STDOUT
        )

    def wait_for_line(self, text: str) -> None:
        self._process.wait_for_line(text)

    def wait(self) -> int:
        """The exit code, once process 1 has ended by itself."""
        return self._process.wait()

    def lines(self) -> list[str]:
        return self._process.lines()

    @property
    def first(self) -> psutil.Process:
        """Process 1, as this machine sees it."""
        (child,) = psutil.Process(self._process.pid).children()
        return child

    def executed(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        """`docker exec`, as HEALTHCHECK does it too."""
        user, group = self._image.user.split(":")
        assignments = [f"{key}={value}" for key, value in {**self._image.environment, **self._environment}.items()]
        enter = ["nsenter", "--target", str(self.first.pid), "--mount", "--pid", "--root", "--wd"]
        words = [*enter, "--setuid", user, "--setgid", group, "env", "-i", *assignments, *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=60)

    def stop(self) -> int:
        """`docker stop`: SIGTERM to process 1, then its exit code."""
        self.first.terminate()
        return self._process.wait()

    def kill(self) -> None:
        self._process.kill()
