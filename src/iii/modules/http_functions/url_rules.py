"""Which URLs may be called: the part that needs no network (03 §B4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

from yarl import URL

from iii.modules.http_functions.config import SecurityConfig
from iii.net.addresses import NoAddress, is_blocked, literal_address
from iii.protocol.errors import InvocationError

_SCHEMES = ("http", "https")
# As DNS has names, in its ASCII form; one final dot at most. Others are read differently by libraries and resolvers.
_NAME = re.compile(r"(?=.{1,254}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")


class UrlRefused(InvocationError):
    """The URL of a function is not valid or not allowed.

    Do: correct the URL, or allow it in `security` of `iii-http-functions`.
    Retry: no.
    """

    code = "url_validation_failed"

    def __init__(self, text: str) -> None:
        super().__init__(message=text)


class UrlRules:
    """Raises UrlRefused for a pattern that is none."""

    def __init__(self, security: SecurityConfig) -> None:
        self.blocks_private_addresses = security.block_private_ips
        self._requires_https = security.require_https
        self._allowed = [(_pattern(glob), "://" in glob) for glob in security.url_allowlist or ("*",)]

    def check(self, text: str) -> URL:
        """The URL as it will be called. Raises UrlRefused."""
        try:
            url = URL(text)
            host = url.host  # decodes `xn--` names
        except (ValueError, IndexError):
            raise UrlRefused("Invalid URL") from None
        if not url.absolute or not url.scheme:
            raise UrlRefused("Invalid URL")
        if self._requires_https and url.scheme != "https":
            raise UrlRefused("HTTPS is required")
        if not host or url.scheme not in _SCHEMES or "%" in host:
            raise UrlRefused("Invalid URL")
        try:
            address = literal_address(host)
        except NoAddress:
            raise UrlRefused("Invalid URL") from None
        if address is None and _NAME.fullmatch(url.raw_host or "") is None:
            raise UrlRefused("Invalid URL")
        if not any(pattern(self._place(url, host, whole)) for pattern, whole in self._allowed):
            raise UrlRefused("URL not in allowlist")
        if self.blocks_private_addresses and (_is_localhost(host) if address is None else is_blocked(address)):
            raise UrlRefused("Private IP blocked")
        return url if address is None else url.with_host(str(address))

    @staticmethod
    def _place(url: URL, host: str, whole: bool) -> str:
        if not whole:
            return host.lower()
        port = f":{url.explicit_port}" if url.explicit_port is not None else ""
        return f"{url.scheme}://{host.lower()}{port}{url.path}"


def _is_localhost(host: str) -> bool:
    """By name, which needs no lookup (RFC 6761)."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def _pattern(glob: str) -> Callable[[str], re.Match[str] | None]:
    """`*` any run, `?` one character, `[…]` one of some."""
    if "[" in glob and re.search(r"\[[^\]]+\]", glob) is None:
        raise UrlRefused(f"url_allowlist: '{glob}': Invalid URL")
    return re.compile(translate(glob)).match
