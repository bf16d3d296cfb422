"""Options that published files and clients have, and that nothing here reads: one mark for all of them.

The reference and the schemas show the mark as a description; a start that finds such an option set warns of it.
"""

from msgspec import Meta

_KEY = "without_effect"


def without_effect(remark: str) -> Meta:
    """The mark, as metadata of a field.

    Args:
        remark: why, or what to use instead; without a full stop.
    """
    return Meta(description=f"Accepted without effect: {remark}.", extra={_KEY: remark})


def remark_of(declared: object) -> str | None:
    """Of a field's type; None if the field has an effect."""
    metadata = getattr(declared, "__metadata__", ())
    return next((meta.extra[_KEY] for meta in metadata if meta.extra and _KEY in meta.extra), None)
