"""Routes of the pages and of what a page knows before it asks anything (23 §2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

from iii.console.application import json_response
from iii.console.assets import Assets


class PageRoutes:
    """Args:
    config: what pages are told; asked for each page, as ports may change.
    """

    def __init__(self, folder: Path, config: Callable[[], Mapping[str, object]]) -> None:
        self._folder = folder
        self._config = config
        self._assets: Assets | None = None

    def routes(self) -> list[web.RouteDef]:
        """The last ones: they take every path that is left."""
        return [web.get("/api/config", self._answer_config), web.get("/{path:.*}", self._page)]

    async def _answer_config(self, request: web.Request) -> web.Response:
        return json_response(self._config())

    async def _page(self, request: web.Request) -> web.Response:
        assets = self._assets
        if assets is None:
            assets = self._assets = await asyncio.to_thread(Assets, self._folder)
        path = unquote(request.match_info["path"])
        found = assets.find(path, request.headers.get("Accept-Encoding", ""))
        if found is None:
            page = assets.page(self._config())
            headers = {
                "Cache-Control": "no-store",
                "Content-Security-Policy": page.policy(request.headers["Host"]),  # which the gate has checked
            }
            return web.Response(body=page.body, content_type="text/html", charset="utf-8", headers=headers)
        if request.headers.get("If-None-Match") == found.headers["ETag"]:
            return web.Response(status=304, headers={"ETag": found.headers["ETag"]})
        return web.Response(body=found.body, headers=found.headers)
