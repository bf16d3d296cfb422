"""Names in generated programs: made of ids and titles that others chose, so that none is taken, reserved or misleading."""

import keyword
import re
import unicodedata
from collections.abc import Collection

from iii.protocol.names import without_control_characters

_WORDS = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def type_name(text: str) -> str:
    """`orders::create` and `Page[User]` as `OrdersCreate` and `PageUser`."""
    return _started("".join(word[0].upper() + word[1:] for word in _words(text)), "Type")


def snake_name(text: str) -> str:
    """`orders::getById` as `orders_get_by_id`."""
    name = "_".join(_HUMP.sub("_", word) for word in _words(text)).lower()
    return _allowed(_started(name, "_"))


def camel_name(text: str) -> str:
    """`orders::get-by-id` as `ordersGetById`."""
    name = "".join(word[0].upper() + word[1:] for word in _words(text))
    return _started(name[:1].lower() + name[1:], "_")


def member_name(text: str) -> str:
    """The name itself where Python takes it, else one that resembles it."""
    plain = unicodedata.normalize("NFKC", text)
    name = plain if plain.isidentifier() else _started("_".join(_words(plain)), "_")
    if name.startswith("__"):  # Python would put the name of the class before it
        name = name.lstrip("_") or "_"
    return _allowed(_started(name, "_"))


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, or the first with a number behind it that is not taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name.rstrip('_') or '_'}{'_' if name[-1:].isdigit() else ''}{number}"
    return found


def one_line(text: str) -> str:
    """A description for a comment: one line, with nothing in it that ends the comment or hides what follows."""
    return without_control_characters(" ".join(text.split()))


def _words(text: str) -> list[str]:
    words = _WORDS.findall(unicodedata.normalize("NFKC", text))
    return [word for word in ("".join(filter(_may_follow, each)) for each in words) if word]


def _may_follow(character: str) -> bool:
    return f"_{character}".isidentifier()


def _started(name: str, start: str) -> str:
    """Names begin with a letter."""
    return name if name.isidentifier() else f"{start}{name}"


def _allowed(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) else name
