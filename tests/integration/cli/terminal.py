"""What a terminal shows."""

import os
import select


def read_until(terminal: int, text: str) -> str:
    """What the terminal shows, up to and with the text; within 20 s."""
    shown = ""
    while text not in shown:
        assert select.select([terminal], [], [], 20)[0], f"only {shown!r}"
        shown += os.read(terminal, 4096).decode()
    return shown
