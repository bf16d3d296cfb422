"""What the log says: an event is declared once, with its sentence, and called with its values (docs/reference/log-events.md)."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

WARNING, ERROR = 30, 40  # of `logging`, which takes as long to import as to declare twenty functions

_CHARACTERS = 2_000  # of a value, where the engine's own log, which cuts much earlier, is not the one that shows it

_before_lines: list[Callable[[], object]] = []

declared: dict[str, "LogEvent"] = {}  # by name; only the reference page reads it


def before_lines(set_up: Callable[[], object]) -> None:
    """Call it before an event is logged for the first time: where lines go that no handler of the program takes."""
    _before_lines.append(set_up)


class LogText(str):
    """The message of a record: the sentence. Whoever shows no fields gets it with its values; they are added only when it is shown.

    A text, as log handlers of users' programs expect a record to have.
    """

    __slots__ = ("_fields",)
    _fields: Mapping[str, object]

    def __new__(cls, sentence: str, fields: Mapping[str, object]) -> "LogText":
        text = super().__new__(cls, sentence.format_map(fields))
        text._fields = {name: value for name, value in fields.items() if f"{{{name}}}" not in sentence}
        return text

    @property
    def sentence(self) -> str:
        return str.__str__(self)

    def __str__(self) -> str:
        from iii.protocol.secrets import without_secrets  # as in `_shown`

        shown = without_secrets(self._fields)
        assert isinstance(shown, Mapping)
        values = ", ".join(f"{key}={_shown(value)}" for key, value in shown.items())
        return f"{self.sentence} ({values})" if values else self.sentence


class LogEvent:
    """Calling it writes one line.

    Args:
        source: the module that logs, `__name__`.
        name: dotted, lower case, never changed: people search for it.
        level: one of `logging`.
        sentence: the same for every line; values are fields. Where the specification wants a value in it: `{field}`.
        means: what has happened, for the reference.
        do: what an operator does about it; empty for nothing.
    """

    __slots__ = ("_logger", "do", "level", "means", "name", "sentence", "source")

    def __init__(self, source: str, name: str, level: int, sentence: str, *, means: str, do: str = "") -> None:
        self.source: str = source
        self.name = name
        self.level = level
        self.sentence = sentence
        self.means = means
        self.do = do
        self._logger: logging.Logger | None = None
        if (other := declared.get(name, self)).source != source:  # the same one: its module is imported again
            raise ValueError(f"log event '{name}' is declared twice: in {other.source} and {source}")
        declared[name] = self

    def _opened(self) -> "logging.Logger":
        import logging

        for set_up in _before_lines:
            set_up()
        self._logger = logging.getLogger(self.source)
        return self._logger

    def record(self, **fields: object) -> "logging.LogRecord":
        """What would be logged, for whoever writes the log and can't log itself."""
        extra = {"event": self.name, "fields": fields}
        text = LogText(self.sentence, fields)
        return (self._logger or self._opened()).makeRecord(self.source, self.level, "", 0, text, (), None, extra=extra)

    def __call__(self, error: BaseException | None = None, level: int | None = None, /, **fields: object) -> None:
        """Log it, with the traceback of an error; `level` where it is not always the same."""
        level = level or self.level
        logger = self._logger or self._opened()
        if logger.isEnabledFor(level):
            logger.log(
                level,
                LogText(self.sentence, fields),
                exc_info=error,
                extra={"event": self.name, "fields": fields},
                stacklevel=2,
            )


def _shown(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and value and " " not in value:
        return value
    import json  # with the next one what a program that says nothing does without

    from iii.protocol.log_line import one_line

    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):  # no JSON, circular, deep
        return f"({type(value).__name__})"
    return one_line(text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…")
