"""A bound for log lines that somebody outside can cause: the log is not the sender's to fill."""


class LogSampler:
    """The first ten lines are written, then every hundredth."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines = 0

    def passes(self) -> bool:
        """Whether to write the line that is due now."""
        self._lines += 1
        return self._lines <= _IN_FULL or self._lines % _EACH == 0


_IN_FULL = 10
_EACH = 100
