"""What the engine would refuse of a decorator's arguments, raised where they were written (newcomer M9)."""

from collections.abc import Mapping
from datetime import UTC, tzinfo

from iii.protocol.http_methods import METHODS
from iii.protocol.route_path import InvalidPath, parse_path
from iii.protocol.suggestion import did_you_mean
from iii.sdk.argument_kinds import check_kind

_SHOWN = 200  # characters of a value in an error


def check_route(method: str, path: str) -> None:
    """Raises ValueError: no route can have the method, or the path."""
    if method.upper() not in METHODS:
        raise _unsupported(method)
    try:
        parse_path(path)
    except InvalidPath as error:
        raise ValueError(str(error)) from None


def _unsupported(method: str) -> ValueError:
    hint = did_you_mean(method.upper(), METHODS, " (did you mean '{}'?)")
    return ValueError(f"unsupported HTTP method '{method[:_SHOWN]}'{hint}; supported: {', '.join(METHODS)}")


def name_of(handler: object) -> str:
    """The function's own name, for its id. Raises TypeError: it has none, as a `functools.partial`."""
    name = getattr(handler, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(f"{handler!r} has no name to make an id of: give function_id")
    return name


def check_schedule(expression: str, timezone: str) -> None:
    """Raises ValueError. An engine with `day_of_week: quartz` numbers days from 1 and refuses 0 besides."""
    from iii.protocol.cron_expression import Expression, InvalidExpression

    try:
        Expression(expression, UTC if timezone == "UTC" else _zone(timezone))
    except InvalidExpression as error:
        raise ValueError(f"invalid cron expression '{expression[:_SHOWN]}': {error}") from None


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        if available_timezones():
            raise ValueError(
                f"unknown time zone '{name[:_SHOWN]}'; it is an IANA name such as 'Europe/Berlin' or 'UTC'"
            ) from None
        return UTC  # a system without a database of time zones, as small containers are: the engine has one


def named(what: str, name: str) -> str:
    """The name. Raises ValueError or TypeError: it is no text, or an empty one."""
    check_kind(what, name, "str")
    if not name:
        raise ValueError(f"{what} is empty: give it a name")
    return name


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
