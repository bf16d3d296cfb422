"""What the engine would refuse of a decorator's arguments, raised where they were written (newcomer M9)."""

from collections.abc import Mapping

from iii.protocol.http_methods import METHODS
from iii.protocol.suggestion import did_you_mean

_SHOWN = 200  # characters of a value in an error


def check_method(method: str) -> None:
    """Raises ValueError: a route cannot have it."""
    if method.upper() in METHODS:
        return
    hint = did_you_mean(method.upper(), METHODS, " (did you mean '{}'?)")
    raise ValueError(f"unsupported HTTP method '{method[:_SHOWN]}'{hint}; supported: {', '.join(METHODS)}")


def check_schedule(expression: str, timezone: str) -> None:
    """Raises ValueError. An engine with `day_of_week: quartz` numbers days from 1 and refuses 0 besides."""
    from zoneinfo import ZoneInfo

    from iii.protocol.cron_expression import Expression, InvalidExpression

    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"unknown time zone '{timezone[:_SHOWN]}'; it is an IANA name such as 'Europe/Berlin' or 'UTC'"
        ) from None
    try:
        Expression(expression, zone)
    except InvalidExpression as error:
        raise ValueError(f"invalid cron expression '{expression[:_SHOWN]}': {error}") from None


def check_at_least(least: int, numbers: Mapping[str, int | None]) -> None:
    """Raises ValueError or TypeError, with the name of the argument; None is not given."""
    for name, number in numbers.items():
        if number is None:
            continue
        if type(number) is not int:
            raise TypeError(f"{name} must be int, got {type(number).__name__}")
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")


def check_share(name: str, share: float | None) -> None:
    """Raises ValueError: it is not within 0 and 1."""
    if share is not None and not 0 <= share <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {share}")
