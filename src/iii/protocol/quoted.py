"""What an error or a log line quotes of things from outside, which may have 64 MiB."""

QUOTED_CHARACTERS = 200  # of one name or value


def shortened(text: str, characters: int = QUOTED_CHARACTERS) -> str:
    """With a sign where something was cut off."""
    return text if len(text) <= characters else f"{text[:characters]}… ({len(text)} characters)"
