"""Close codes, as `protocol/close_codes.py` defines them."""

from docs.generator.markdown import table
from iii.protocol.close_codes import CloseCode


def close_codes_page() -> str:
    """Number and name."""
    rows = [(str(code.value), f"`{code.name}`") for code in CloseCode]
    return "# Close codes\n\nWith which the engine closes a WebSocket.\n\n" + table(("Code", "Name"), rows)
