"""What the API answers instead of a result."""

from __future__ import annotations

from iii.console.door import EngineAway
from iii.protocol.errors import InvocationError, InvocationForbidden


class Refusal(Exception):
    """A request is not served: HTTP status, text for people, code for the page."""

    def __init__(self, status: int, text: str, code: str | None = None, retry_after_s: int | None = None) -> None:
        text = text.encode(errors="replace").decode()  # what a header says need not be UTF-8
        super().__init__(text)
        self.status = status
        self.text = text
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, str]:
        """As JSON has it."""
        return {"error": self.text} if self.code is None else {"error": self.text, "code": self.code}


def refusal_of(error: InvocationError | TimeoutError | EngineAway) -> Refusal:
    """For a call of the engine that failed (23 §7)."""
    if isinstance(error, EngineAway):
        return Refusal(502, str(error), "ENGINE_AWAY")
    if isinstance(error, TimeoutError):
        return Refusal(504, "Invocation timed out", "TIMEOUT")
    status = 403 if error.code == InvocationForbidden.code else 502
    return Refusal(status, f"Remote error ({error.code}): {error.message}", error.code)
