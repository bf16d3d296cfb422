"""Dead letters as one answer shows them: whatever their size, a page of them fits (L13)."""

from __future__ import annotations

import msgspec

from iii.modules.queue.job import DeadLetter
from iii.protocol.limits import MIB

SHOWN_BYTES = 16 * MIB  # of one page
BEGINNING_BYTES = 500  # that are shown of a payload that does not fit
_ROW_BYTES = 400  # of names and numbers of one letter
_ENVELOPE_BYTES = 16 * 1024  # of the answer, around the page

_encode = msgspec.json.Encoder().encode


class Page:
    """Letters in their order, as long as they fit.

    A payload may take half of what is left, so that one large letter does not hide those behind it.
    """

    def __init__(self, limit_bytes: int) -> None:
        """`limit_bytes`: of the message that the page is sent in."""
        self.letters: list[DeadLetter] = []
        self._left = min(limit_bytes - _ENVELOPE_BYTES, SHOWN_BYTES)

    @property
    def payload_bytes(self) -> int:
        """Most that the next letter's payload may have to be shown whole."""
        return max(self._left // 2, 0)

    def add(self, letter: DeadLetter) -> bool:
        """False: it does not fit, nor would another one."""
        if letter.data_bytes > min(self.payload_bytes, len(letter.data)):
            text = letter.data[:BEGINNING_BYTES].decode("utf-8", "replace")
            letter = letter._replace(data=_encode(f"{text}… ({letter.data_bytes} bytes)"))
        names = (letter.id, letter.error, letter.stacktrace, letter.function_id, letter.namespace)
        self._left -= len(letter.data) + len(_encode(names)) + len(letter.history) + _ROW_BYTES
        if self._left < 0:
            return False
        self.letters.append(letter)
        return True
