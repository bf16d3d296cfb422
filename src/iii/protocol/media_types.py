"""What a `content-type` header says (P1)."""

from iii.protocol.late_pattern import late_pattern

_JSON_SUBTYPE = late_pattern(r"[!#$%&'*+\-.^_`|~0-9a-z]+/[!#$%&'*+\-.^_`|~0-9a-z]*\+json")


def is_json(content_type: str | None) -> bool:
    """Whether the essence of a media type says so: `application/json`, or a subtype that ends in `+json` (P1).

    A header that only contains the words does not: browsers send such ones for any page, without a preflight.
    """
    if content_type is None:
        return False
    essence = content_type.partition(";")[0].strip().lower()
    return essence == "application/json" or _JSON_SUBTYPE.fullmatch(essence) is not None
