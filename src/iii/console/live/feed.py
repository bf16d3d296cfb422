"""A list that pages follow: what they have to be told since the revision that they know (23 §6)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from iii.protocol.limits import CONSOLE_ROWS, MIB

_GONE = 5_000  # keys of rows that went, which a delta can still tell
_KEPT_ROWS = 1_000
_KEPT_BYTES = 4 * MIB
_encode = msgspec.json.Encoder().encode


class News(NamedTuple):
    """Members of a message, and the revision that a page has after it."""

    members: bytes
    rev: int


class Feed(Protocol):
    """Attributes:
    rev: of what is there now; 0 until the first look.
    """

    rev: int

    def since(self, rev: int | None) -> News | None:
        """For a page that has this revision, or nothing yet; None: it is up to date."""


class RowsFeed:
    """Rows by key. Nothing waits for slow pages: what each is told is made when it can take it, from the rows as they are then."""

    def __init__(self) -> None:
        self.rev = 0
        self._rows: dict[str, bytes] = {}
        self._changed: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._floor = 0  # deltas can be made for pages from this revision on
        self._total = 0

    def update(self, rows: Mapping[str, bytes], total: int | None = None) -> bool:
        """What there is now, in this order; True: something has changed."""
        rev = self.rev + 1
        kept = dict(list(rows.items())[:CONSOLE_ROWS]) if len(rows) > CONSOLE_ROWS else dict(rows)
        set_keys = [key for key, row in kept.items() if self._rows.get(key) != row]
        gone = self._rows.keys() - kept.keys()
        count = len(rows) if total is None else total
        if self.rev and not set_keys and not gone and count == self._total:
            return False
        for key in set_keys:
            self._changed[key] = rev
            self._gone.pop(key, None)
        for key in gone:
            self._changed.pop(key, None)
            self._gone.pop(key, None)
            self._gone[key] = rev  # the latest is last
        while len(self._gone) > _GONE:
            oldest = next(iter(self._gone))
            self._floor = max(self._floor, self._gone.pop(oldest))
        self._rows, self.rev, self._total = kept, rev, count
        return True

    def since(self, rev: int | None) -> News | None:
        """As `Feed.since`."""
        if not self.rev or rev == self.rev:
            return None
        if rev is None or rev < self._floor or rev > self.rev:
            rows = b",".join(self._rows.values())
            return News(b'"t":"reset","rev":%d,"rows":[%b],"total":%d' % (self.rev, rows, self._total), self.rev)
        changed = b",".join(self._rows[key] for key, at in self._changed.items() if at > rev)
        gone = _encode([key for key, at in self._gone.items() if at > rev])
        news = b'"t":"delta","from":%d,"rev":%d,"set":[%b],"del":%b,"total":%d'
        return News(news % (rev, self.rev, changed, gone, self._total), self.rev)


class AppendFeed:
    """Rows that are only ever added; a page that is too slow for them is told how many it missed."""

    def __init__(self) -> None:
        self.rev = 0
        self._rows: deque[bytes] = deque()
        self._bytes = 0
        self._begun = False

    def add(self, rows: Sequence[bytes], missed: int = 0) -> bool:
        """The newest are last; `missed` came before them and are not known."""
        if not rows and not missed and self._begun:
            return False
        if missed:
            self._rows.clear()
            self._bytes = 0
        self._begun = True
        self._rows.extend(rows)
        self._bytes += sum(map(len, rows))
        self.rev += len(rows) + missed
        while self._rows and (len(self._rows) > _KEPT_ROWS or self._bytes > _KEPT_BYTES):
            self._bytes -= len(self._rows.popleft())
        return True

    def since(self, rev: int | None) -> News | None:
        """As `Feed.since`."""
        if not self._begun or rev == self.rev:
            return None
        if rev is None or rev > self.rev:
            return News(
                b'"t":"reset","rev":%d,"rows":[%b],"total":%d' % (self.rev, b",".join(self._rows), len(self._rows)),
                self.rev,
            )
        wanted = self.rev - rev
        rows = list(self._rows)[-wanted:]
        news = b'"t":"append","from":%d,"rev":%d,"rows":[%b],"skipped":%d'
        return News(news % (rev, self.rev, b",".join(rows), wanted - len(rows)), self.rev)


class ChangedFeed:
    """Something that pages ask for themselves, when they are told that it has changed."""

    def __init__(self) -> None:
        self.rev = 0
        self._print: object = None
        self._total = 0
        self._keys: Sequence[str] = ()

    def look(self, fingerprint: object, total: int = 0, keys: Sequence[str] = ()) -> bool:
        """What there is now; equal things have equal prints."""
        if self.rev and fingerprint == self._print:
            return False
        self._print, self._total, self._keys = fingerprint, total, keys
        self.rev += 1
        return True

    def since(self, rev: int | None) -> News | None:
        """As `Feed.since`."""
        if not self.rev or rev == self.rev:
            return None
        keys = b"" if not self._keys else b',"keys":%b' % _encode(self._keys)
        return News(b'"t":"changed","rev":%d,"total":%d%b' % (self.rev, self._total, keys), self.rev)
