"""How long requests take, by method, route and status, as OpenTelemetry names that (16 §1)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.protocol.http_methods import METHODS
from iii.protocol.limits import HTTP_HISTOGRAMS
from iii.protocol.measurement import OTHER, Distribution, Measurement

CLIENT_LEFT = 499  # as nginx writes it: there was nobody to answer

_OTHER_METHOD = "_OTHER"


class RequestDurations:
    """A histogram for each method, route and status; what comes first is told apart, the rest by the class of its status."""

    def __init__(self) -> None:
        self._histograms: dict[tuple[str, str, int | str], Distribution] = {}

    def took(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request is over; `route` is empty if none matched."""
        found = self._histograms.get((method, route, status))
        (found or self._of(method, route, status)).observe(seconds)

    def measured(self) -> Sequence[Measurement]:
        """As a metric."""
        points = [
            (
                (("http.request.method", method), ("http.route", route), ("http.response.status_code", str(status))),
                histogram,
            )
            for (method, route, status), histogram in self._histograms.items()
        ]
        text = "HTTP requests, from their head to the end of their response."
        return (Measurement("http.server.request.duration", "s", "histogram", text, points),)

    def _of(self, method: str, route: str, status: int) -> Distribution:
        known = self._histograms
        if method not in METHODS:
            method = _OTHER_METHOD
        key: tuple[str, str, int | str] = (method, route, status)
        if key not in known and len(known) >= HTTP_HISTOGRAMS:
            key = (method, OTHER, f"{status // 100}xx")
        return known.setdefault(key, Distribution())
