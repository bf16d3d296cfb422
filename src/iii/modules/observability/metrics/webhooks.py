"""Alerts as HTTP requests, in the background (16 §6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from iii.modules.observability.shown_url import shown_url
from iii.net.addresses import AddressRefused, NoAddress, is_blocked, literal_address
from iii.protocol.log_event import LogEvent
from iii.protocol.task_set import TaskSet

if TYPE_CHECKING:
    from yarl import URL

    from iii.modules.observability.metrics.alert_rule import AlertRule

WEBHOOK_REFUSED = LogEvent(
    __name__, "alert.webhook_refused", logging.WARNING,
    "alert webhook target rejected (SSRF guard); not sending. `allow_private_hosts: true` in its action allows private hosts",
    means="The URL of an alert's webhook leads into a private network or to this host.",
    do="Correct the URL, or set `allow_private_hosts` in the action.",
)  # fmt: skip
WEBHOOK_FAILED = LogEvent(
    __name__, "alert.webhook_failed", logging.WARNING, "Alert not delivered: its webhook failed",
    means="Three attempts at the webhook failed; this alert is not sent again.",
    do="Look at the server that `url` names.",
)  # fmt: skip
WEBHOOK_BUSY = LogEvent(
    __name__, "alert.webhook_busy", logging.WARNING, "Alert not delivered: an earlier one of its rule is still being sent",
    means="The webhook answers more slowly than alerts are triggered.",
    do="Look at the server that `url` names, or make `cooldown_seconds` longer.",
)  # fmt: skip
WORK_FAILED = LogEvent(
    __name__, "alert.delivery_failed", logging.ERROR, "Delivery of an alert failed inside the engine",
    means="The engine itself raised.",
    do="Report it with its stack trace.",
)  # fmt: skip

_PRIVATE = "Private IP blocked"
_REMEDIES = {_PRIVATE: "; `allow_private_hosts: true` in the action allows private hosts"}
PAUSES_S = (1.0, 2.0)  # between attempts


Ended: TypeAlias = Callable[[str], None]
Post: TypeAlias = "Callable[[URL, bytes, bool], Awaitable[str]]"


class Refused(Exception):
    """The URL may not be called; the text says why."""


class Webhooks:
    """At most one request of a rule at a time."""

    def __init__(self, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._pauses_s = pauses_s
        self._tasks = TaskSet(WORK_FAILED)
        self._busy: set[str] = set()

    async def settled(self) -> None:
        """Until nothing is being sent."""
        await self._tasks.wait()

    async def stop(self) -> None:
        """Send nothing more."""
        self._tasks.cancel()
        await self.settled()

    def send(
        self, alert: str, text: str, body: bytes, allow_private_hosts: bool, ended: Ended = lambda reason: None
    ) -> None:
        """POST a body of JSON, later; `ended` is called with the reason if it was not taken, else with an empty text."""
        try:
            url = checked(text, allow_private_hosts)
        except Refused as refused:
            WEBHOOK_REFUSED(alert=alert, url=shown_url(text), reason=str(refused))
            ended(f"webhook refused: {refused}")
            return
        if alert in self._busy:
            WEBHOOK_BUSY(alert=alert, url=shown_url(url))
            ended("an earlier alert of its rule is still being sent")
            return
        self._busy.add(alert)
        self._tasks.spawn(self._deliver(alert, url, body, allow_private_hosts, ended))

    async def _deliver(self, alert: str, url: URL, body: bytes, allow_private_hosts: bool, ended: Ended) -> None:
        reason = "failed inside the engine; its log has the stack trace"
        try:
            reason = await self._attempts(alert, url, body, allow_private_hosts)
        finally:
            self._busy.discard(alert)
            ended(reason)

    async def _attempts(self, alert: str, url: URL, body: bytes, allow_private_hosts: bool) -> str:
        """Why all of them failed; empty: one did not."""
        reason = ""
        post: Post = await asyncio.to_thread(_loaded)
        for pause_s in (*self._pauses_s, None):
            try:
                reason = await post(url, body, allow_private_hosts)
            except AddressRefused as refused:
                WEBHOOK_REFUSED(alert=alert, url=shown_url(url), reason=str(refused))
                return f"webhook refused: {refused}"
            if not reason:
                return ""
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        WEBHOOK_FAILED(alert=alert, url=shown_url(url), reason=reason)
        return f"webhook failed: {reason}"


def _loaded() -> Post:
    """aiohttp takes longer to import than the loop may stand still; most engines never send an alert."""
    from iii.modules.observability.metrics.webhook_post import post

    return post


def checked(text: str, allow_private_hosts: bool) -> URL:
    """The URL, as far as it can be judged without the network. Raises Refused."""
    from yarl import URL  # late: it takes 8 ms, and most engines never send an alert

    try:
        url = URL(text)
        host = url.host
    except (ValueError, IndexError):
        raise Refused("not a URL") from None
    if url.scheme not in ("http", "https"):
        raise Refused(f"unsupported scheme '{url.scheme}' (only http/https)")
    if not host:
        raise Refused("no host")
    try:
        address = literal_address(host)
    except NoAddress:
        raise Refused("not an address") from None
    if address is None:
        return url
    if not allow_private_hosts and is_blocked(address):
        raise Refused(_PRIVATE)
    return url.with_host(str(address))


def unsendable(rules: Iterable[AlertRule]) -> Iterator[tuple[int, str]]:
    """Rules whose webhook is refused whatever happens, and why: as far as that can be judged without the network."""
    for index, rule in enumerate(rules):
        action = rule.action
        if rule.enabled and action.type == "webhook" and action.url:
            try:
                checked(action.url, action.allow_private_hosts)
            except Refused as reason:
                yield index, f"the webhook will be refused: {reason}{_REMEDIES.get(str(reason), '')}"
