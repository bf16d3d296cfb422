"""What all messages of the worker protocol have in common."""

from msgspec import Raw, Struct

NULL = Raw(b"null")


class Message(Struct, tag_field="type", tag=str.lower, omit_defaults=True, gc=False):
    """A JSON object with the lower-cased message name in `type`; unknown members are ignored.

    Made by the thousand and never part of a cycle, so the collector need not look at them.
    """
