"""Who is let in at a listener: by token, by its auth function, or anybody (20 §1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from iii.engine.access.audit import DENIED, FORBIDDEN_INFRASTRUCTURE, GRANTED
from iii.engine.access.codes import AUTH_ERROR
from iii.engine.access.decision import INFRASTRUCTURE
from iii.engine.access.failed_logins import FailedLogins
from iii.engine.access.guard import Access
from iii.engine.access.rights import BadAuthResult, read_auth_result
from iii.engine.question import Question
from iii.protocol.query import query_params

if TYPE_CHECKING:
    from iii.engine.access.rights import Rights
    from iii.engine.access.rules import ListenerRules
    from iii.engine.clock import Clock, Timer
    from iii.engine.router import Router
    from iii.protocol.errors import InvocationError
    from iii.protocol.reply import Reply

_encode = msgspec.json.Encoder().encode


class Approach(NamedTuple):
    """Who wants in.

    Attributes:
        lines: name, in lower case, and value of each header.
        query: as in the URL, nothing decoded (L9).
        certified: names in its certificate, which the listener has verified.
    """

    lines: tuple[tuple[str, str], ...]
    query: str
    ip_address: str | None
    certified: tuple[str, ...] = ()

    @property
    def token(self) -> str | None:
        """Of `Authorization: Bearer`, else of `token` in the query, for browsers, which cannot send headers."""
        for name, value in self.lines:
            if name == "authorization" and value[:7].lower() == "bearer ":
                return value[7:].strip()
        values = query_params(self.query).get("token")
        return values[0] if values else None

    def input(self) -> bytes:
        """What an auth function gets; of a repeated header the last value, and none that is not ASCII."""
        headers = {name: value for name, value in self.lines if value.isascii()}
        asked = {"headers": headers, "query_params": query_params(self.query), "ip_address": self.ip_address}
        return _encode({**asked, "certificate_names": self.certified} if self.certified else asked)


class Tokens(Protocol):
    """The tokens of a listener."""

    def find(self, token: str) -> Rights | None:
        """What the bearer of a token may do; None: it is unknown."""

    def renewed(self, rights: Rights) -> Rights | None:
        """What a session may do now that was let in with a token before; None: no token of that name is left."""


class Certificates(Protocol):
    """The client certificates that a listener knows."""

    def find(self, names: tuple[str, ...]) -> Rights | None:
        """What a client with such names may do; None: none of them is known."""

    def renewed(self, rights: Rights, before: Any) -> Rights | None:
        """What a session may do now that was let in with a certificate; None: no such entry is left.

        Args:
            before: the certificates that were known then.
        """


class Admission:
    """Of one listener."""

    def __init__(
        self,
        router: Router,
        clock: Clock,
        rules: ListenerRules,
        tokens: Tokens | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.router = router
        self.clock = clock
        self.rules = rules
        self.tokens = tokens
        self.certificates = certificates
        self.failed_logins = FailedLogins(clock)

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return self.rules.auth_function is None and self.tokens is None and self.certificates is None

    def known(self, approach: Approach) -> Rights | None:
        """What its token, or else its certificate, lets it do."""
        found = None
        if self.tokens is not None and approach.token is not None:
            found = self.tokens.find(approach.token)
        if found is None and self.certificates is not None and approach.certified:
            found = self.certificates.find(approach.certified)
        return found

    def why_unknown(self, approach: Approach) -> str:
        """Why nothing that the client has shown lets it in, where no function is asked."""
        if self.tokens is not None and approach.token is not None:
            return "the token is unknown"
        if self.certificates is not None and approach.certified:
            return f"no entry of rbac.certificates is for the client certificate of {approach.certified[0]}"
        wanted = ["a token"] if self.tokens is not None else []
        wanted += ["a client certificate"] if self.certificates is not None else []
        return f"{' or '.join(wanted)} is required"

    def admit(self, approach: Approach, decided: Reply[Access, InvocationError]) -> Login:
        """Decide; `decided` is told once, perhaps within, unless the login is withdrawn."""
        login = Login(self, approach, decided)
        login.begin()
        return login


class Login:
    """One connection that wants in."""

    __slots__ = ("_admission", "_approach", "_asked", "_decided", "_question", "_timer")

    def __init__(self, admission: Admission, approach: Approach, decided: Reply[Access, InvocationError]) -> None:
        self._admission = admission
        self._approach = approach
        self._decided: Reply[Access, InvocationError] | None = decided
        self._question: Question | None = None
        self._timer: Timer | None = None
        self._asked: str | None = None

    def begin(self) -> None:
        """A known token or certificate is let in at once, whatever others of its address have done."""
        admission = self._admission
        if admission.is_open:
            self._grant(admission.rules.anonymous)
            return
        rights = admission.known(self._approach)
        if rights is not None:
            self._grant(rights)
            return
        failed_logins, ip_address = admission.failed_logins, self._approach.ip_address
        wait_s = failed_logins.wait_s(ip_address)
        if wait_s is None:
            self._deny("too many failed logins from this address; try again later", counts=False)
        elif wait_s == 0.0:
            self._go_on()
        else:
            failed_logins.waits(ip_address, +1)
            self._timer = admission.clock.call_at(admission.clock.now() + wait_s, self._go_on)

    @property
    def pending(self) -> bool:
        """Whether nothing is decided yet."""
        return self._decided is not None

    def withdraw(self) -> None:
        """The connection is gone."""
        self._decided = None
        self._wait_no_more()
        if self._question is not None:
            self._question.withdraw(cancels=True)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._admission.failed_logins.waits(self._approach.ip_address, -1)

    def _go_on(self) -> None:
        self._wait_no_more()
        admission = self._admission
        auth = admission.rules.auth_function
        if auth is None:
            self._deny(admission.why_unknown(self._approach))
            return
        payload, self._asked = self._approach.input(), auth
        self._question = Question(
            admission.router, admission.clock, auth, payload, admission.rules.auth_s, self._answered
        )

    def _answered(self, result: bytes | None, error: InvocationError | None) -> None:
        self._question = None
        if error is not None:
            self._deny(error.message)
        elif self._admission.rules.auth_function != self._asked:
            self._deny("the rules of this listener have changed; try again", counts=False)
        elif result is None or result.strip() == b"null":
            self._deny("auth function returned no result")
        else:
            try:
                rights = read_auth_result(result, self._admission.rules.listener)
            except BadAuthResult as problem:
                self._deny(str(problem))
            else:
                self._grant(rights)

    def _grant(self, rights: Rights) -> None:
        decided, self._decided = self._decided, None
        if decided is None:
            return
        admission, ip_address = self._admission, self._approach.ip_address
        admission.failed_logins.succeeded(ip_address)
        if admission.rules.exposed is not None:
            context = rights.context.decode()
            certified = {"certificate": self._approach.certified[0]} if self._approach.certified else {}
            GRANTED(
                listener=admission.rules.listener, who=rights.who, ip_address=ip_address, context=context, **certified
            )
        forbidden = [each for each in sorted(INFRASTRUCTURE) if each in rights.forbidden]
        if forbidden:
            FORBIDDEN_INFRASTRUCTURE(who=rights.who, functions=forbidden)
        decided(Access(admission.rules, rights), None)

    def _deny(self, why: str, counts: bool = True) -> None:
        decided, self._decided = self._decided, None
        if decided is None:
            return
        admission, ip_address = self._admission, self._approach.ip_address
        if counts:
            admission.failed_logins.failed(ip_address)
        DENIED(operation="connect", listener=admission.rules.listener, ip_address=ip_address, reason=why)
        decided(None, AUTH_ERROR(why))
