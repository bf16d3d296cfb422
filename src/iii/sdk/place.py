"""Where in the user's program something is declared."""

import sys

_PACKAGE = __name__.partition(".")[0]


def place_of_the_user() -> str:
    """FILE:LINE of the innermost call that this package did not make itself."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
