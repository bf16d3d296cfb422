"""The built pages: read once, served from memory, with headers that let nothing else in (23 §3)."""

from __future__ import annotations

import base64
import hashlib
import json
import mimetypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

FOLDER = Path(__file__).parent / "assets"
INDEX = "index.html"
_HASHED = re.compile(r"assets/.*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+").fullmatch
_PACKED = {"br": ".br", "gzip": ".gz"}  # best first
_IMMUTABLE = "public, max-age=31536000, immutable"
_FALLBACK = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>iii console</title></head>
<body><h1>iii console</h1><p>The pages of the console are not built here: run <code>make console</code>. The API works.</p></body>
</html>
"""


class Asset(Struct, frozen=True):
    """One file, and what it is when packed."""

    content: bytes
    content_type: str
    etag: str
    cache: str
    packed: Mapping[str, bytes]


class SentAsset(NamedTuple):
    """What is sent of an asset."""

    body: bytes
    headers: dict[str, str]


class PageItself(NamedTuple):
    """The page itself, which has one script of its own."""

    body: bytes
    script_hash: str

    def policy(self, host: str) -> str:
        """The content security policy; `host` has been checked."""
        return (
            f"default-src 'self'; script-src 'self' 'sha256-{self.script_hash}'; style-src 'self'; img-src 'self' data:; "
            f"font-src 'self'; connect-src 'self' ws://{host} wss://{host}; object-src 'none'; base-uri 'none'; "
            "form-action 'self'; frame-ancestors 'none'"
        )


class Assets:
    """Only what was there at the first look is ever served, so that no path leads anywhere else."""

    def __init__(self, folder: Path) -> None:
        self._files = {path: asset for path, asset in _read(folder).items() if path != INDEX}
        index = folder / INDEX
        self._index = index.read_text() if index.is_file() else _FALLBACK

    def page(self, config: Mapping[str, object]) -> PageItself:
        """It knows its paths itself."""
        script = f"window.__CONSOLE_CONFIG__={_for_script(config)};"
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return PageItself(self._index.replace("</head>", f"<script>{script}</script></head>", 1).encode(), digest)

    def find(self, path: str, accepted: str) -> SentAsset | None:
        """The file of a path; `accepted` is `Accept-Encoding`."""
        asset = self._files.get(path)
        if asset is None:
            return None
        headers = {"Content-Type": asset.content_type, "Cache-Control": asset.cache, "ETag": asset.etag}
        if asset.packed:
            headers["Vary"] = "Accept-Encoding"
        offered = {
            each.partition(";")[0].strip() for each in accepted.split(",") if not each.replace(" ", "").endswith(";q=0")
        }
        for encoding, body in asset.packed.items():
            if encoding in offered:
                return SentAsset(body, {**headers, "Content-Encoding": encoding})
        return SentAsset(asset.content, headers)


def is_built(folder: Path = FOLDER) -> bool:
    """Whether there are pages to show."""
    return (folder / INDEX).is_file()


def _for_script(config: Mapping[str, object]) -> str:
    """JSON that can neither end the script nor begin a comment of HTML."""
    return json.dumps(config).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _read(folder: Path) -> dict[str, Asset]:
    found: dict[str, Asset] = {}
    if not folder.is_dir():
        return found
    contents = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    for path, content in contents.items():
        if path.endswith(tuple(_PACKED.values())):
            continue
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        text = kind.startswith("text/") or kind in ("application/json", "application/javascript")
        found[path] = Asset(
            content,
            f"{kind}; charset=utf-8" if text else kind,
            f'"{hashlib.sha256(content).hexdigest()[:32]}"',
            _IMMUTABLE if _HASHED(path) else "no-cache",
            {name: contents[path + suffix] for name, suffix in _PACKED.items() if path + suffix in contents},
        )
    return found
