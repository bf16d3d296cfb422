"""Why the engine does not start, in one line for the person who started it."""


class StartFailure(Exception):
    """A start that cannot succeed.

    `str(error)` is what the user reads: it names the file or address, the key, the value and the remedy. The process
    ends with exit code 1 and no traceback.

    Args:
        key: path of the key below the module's `config` that is to blame, so that its line can be named.
    """

    def __init__(self, text: str, key: tuple[str | int, ...] = ()) -> None:
        super().__init__(text)
        self.key = key
