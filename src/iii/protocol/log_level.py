"""Which lines are logged: a level for everything, and others by source (06 §11)."""

import logging

from iii.protocol.log_line import level_name

LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "off": logging.CRITICAL + 10,
}


def apply_level(level: str, before: str = "") -> None:
    """Set the level of everything and of the sources named; those that only `before` names go by the others again."""
    logging.addLevelName(LEVELS["trace"], "TRACE")
    default, by_source, _ = parse_level(level)
    for name in parse_level(before)[1].keys() - by_source.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.root.setLevel(default)
    for name, number in by_source.items():
        logging.getLogger(name).setLevel(number)


def parse_level(level: str) -> tuple[int, dict[str, int], list[str]]:
    """Level of everything, levels by source (also written with `::`), and the parts that make no sense."""
    default, by_source, senseless = logging.INFO, dict[str, int](), list[str]()
    for part in filter(None, (part.strip() for part in level.split(","))):
        source, mark, name = part.rpartition("=")
        number = LEVELS.get(name.strip().lower())
        if number is None or (mark and not source.strip()):
            senseless.append(part)
        elif mark:
            by_source[source.strip().replace("::", ".")] = number
        else:
            default = number
    return default, by_source, senseless


def level_in_force(level: str) -> str:
    """What a level setting comes to, as it is reported: without the parts that make no sense."""
    default, by_source, _ = parse_level(level)
    return ",".join(
        [level_name(default).lower(), *(f"{name}={level_name(at).lower()}" for name, at in by_source.items())]
    )
