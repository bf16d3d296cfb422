"""A page that applies what it is told has what there is, however seldom it is told (23 §6)."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from iii.console.live.feed import AppendFeed, ChangedFeed, Feed, RowsFeed
from iii.protocol.limits import CONSOLE_ROWS

ROWS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), max_size=8)


class Page:
    """What a browser does with what it is told."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.rev: int | None = None
        self.rows: dict[str, int] = {}
        self.resets = 0

    def read(self) -> dict[str, Any] | None:
        news = self.feed.since(self.rev)
        if news is None:
            return None
        message: dict[str, Any] = msgspec.json.decode(b"{%b}" % news.members)
        if message["t"] == "reset":
            self.resets += 1
            self.rows = {row["key"]: row["n"] for row in message["rows"]}
        else:
            assert message["from"] == self.rev
            self.rows.update({row["key"]: row["n"] for row in message["set"]})
            for key in message["del"]:
                self.rows.pop(key, None)  # what came and went meanwhile it never had
        self.rev = news.rev
        return message


def encoded(rows: dict[str, int]) -> dict[str, bytes]:
    return {key: msgspec.json.encode({"key": key, "n": n}) for key, n in rows.items()}


@given(st.lists(st.tuples(ROWS, st.booleans(), st.booleans())))
def test_pages_have_the_rows_that_there_are(steps: list[tuple[dict[str, int], bool, bool]]) -> None:
    feed = RowsFeed()
    pages = Page(feed), Page(feed)
    for rows, *reads in steps:
        feed.update(encoded(rows))
        for page, read in zip(pages, reads, strict=True):
            if read:
                page.read()
                assert page.rows == rows
    assert all(page.resets <= 1 for page in pages)


def test_equal_rows_are_no_news() -> None:
    feed = RowsFeed()
    page = Page(feed)

    assert feed.update(encoded({"a": 1}))
    page.read()

    assert not feed.update(encoded({"a": 1}))
    assert page.read() is None


def test_an_empty_list_is_news_once() -> None:
    feed = RowsFeed()
    page = Page(feed)
    assert page.read() is None

    feed.update({})

    assert page.read() == {"t": "reset", "rev": 1, "rows": [], "total": 0}
    assert page.read() is None


def test_a_page_behind_more_than_is_remembered_gets_everything() -> None:
    feed = RowsFeed()
    page = Page(feed)
    feed.update(encoded({"a": 0}))
    page.read()
    for number in range(6_000):
        feed.update(encoded({f"k{number}": 0}))

    page.read()

    assert (page.resets, page.rows) == (2, {"k5999": 0})


def test_a_longer_list_is_cut_and_says_so() -> None:
    feed = RowsFeed()
    page = Page(feed)
    feed.update(encoded({str(number): 0 for number in range(CONSOLE_ROWS + 5)}))

    message = page.read()

    assert message is not None
    assert (len(message["rows"]), message["total"]) == (CONSOLE_ROWS, CONSOLE_ROWS + 5)


@given(st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=12))
def test_added_rows_come_once_and_in_their_order(steps: list[tuple[int, bool]]) -> None:
    """Those that a page missed are counted."""
    feed = AppendFeed()
    feed.add([])
    rev, seen, missed, made = feed.since(None).rev, 0, 0, 0  # type: ignore[union-attr]
    for count, read in steps:
        feed.add([b"%d" % (made + number) for number in range(count)])
        made += count
        news = feed.since(rev) if read else None
        if news is None:
            continue
        message = msgspec.json.decode(b"{%b}" % news.members)
        missed += message["skipped"]
        seen += len(message["rows"])
        assert message["rows"] == list(range(made - len(message["rows"]), made))
        assert seen + missed == made
        rev = news.rev


def test_rows_that_nobody_knows_are_skipped_ones() -> None:
    feed = AppendFeed()
    feed.add([b"1"])
    feed.add([b"5"], missed=3)

    news = feed.since(1)

    assert news is not None
    assert msgspec.json.decode(b"{%b}" % news.members) == {
        "t": "append",
        "from": 1,
        "rev": 5,
        "rows": [5],
        "skipped": 3,
    }


def test_what_changed_is_said_until_it_is_known() -> None:
    feed = ChangedFeed()
    feed.look("one", 1)
    feed.look("one", 1)
    first = feed.since(None)
    feed.look("two", 2, ["k"])

    assert first is not None
    assert feed.since(first.rev) == (b'"t":"changed","rev":2,"total":2,"keys":["k"]', 2)
    assert feed.since(2) is None
