"""A Prometheus that scrapes an engine, as the how-to says."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

import iii
from tests.processes import free_port

HOW_TO = Path(iii.__file__).parents[2] / "docs" / "how-to"
STOP_S = 60.0


class Prometheus:
    """A process; once it has scraped the engine twice it is asked."""

    def __init__(self, folder: Path, metrics_port: int) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        block = re.search(r"^scrape_configs:\n(?:  .*\n)+", (HOW_TO / "metrics.md").read_text(), re.MULTILINE)
        assert block is not None
        scraping = block[0].replace("127.0.0.1:9464", f"127.0.0.1:{metrics_port}").replace("15s", "1s")
        rules = f"rule_files: ['{HOW_TO / 'prometheus-rules.yml'}']\n"
        (folder / "prometheus.yml").write_text(f"global: {{evaluation_interval: 1s}}\n{rules}{scraping}")
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._log.close()

    async def ask(self, path: str, **query: str) -> Any:
        """What its API answers; none as long as it does not run."""
        try:
            async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as answer:
                return (await answer.json(content_type=None))["data"]
        except (aiohttp.ClientError, ValueError, KeyError):
            assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
            return None

    async def series(self, query: str) -> list[dict[str, Any]]:
        found = await self.ask("query", query=query)
        return [] if found is None else list(found["result"])

    async def groups(self) -> list[dict[str, Any]]:
        """Of rules."""
        found = await self.ask("rules")
        return [] if found is None else list(found["groups"])

    async def scraped_twice(self) -> None:
        """Rates need two."""
        while True:
            up = await self.series('sum_over_time(up{job="iii"}[1h])')
            if up and float(up[0]["value"][1]) >= 2:
                return
            await asyncio.sleep(0.2)
