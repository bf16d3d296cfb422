"""The engine's refusal of a whole worker (01 §5.11), and of what an app declares."""

NAME_TAKEN = "WORKER_NAMESPACE_CONFLICT"


class RegistrationRejected(Exception):
    """This worker may not be here, usually because another one holds its name.

    A name that is taken is tried again for 90 s, as the other worker may be dead without the engine's knowledge;
    after that, or for another reason, the worker does not come back by itself.

    Attributes:
        code: `WORKER_NAMESPACE_CONFLICT`, or one that a later engine knows.
        namespace, worker_name: what was claimed.
        owner_worker_id: who holds it.
    """

    def __init__(
        self, code: str, namespace: str, worker_name: str | None, owner_worker_id: str, reason: str | None = None
    ) -> None:
        told = reason or f"owned by '{owner_worker_id}'"
        remedy = "; give this worker another name, or stop the other worker" if code == NAME_TAKEN else ""
        super().__init__(f"{code}: worker '{worker_name}' rejected in namespace '{namespace}' ({told}){remedy}")
        self.code = code
        self.namespace = namespace
        self.worker_name = worker_name
        self.owner_worker_id = owner_worker_id
        self._reason = reason

    def again(self) -> "RegistrationRejected":
        """An equal one to raise: each raise of the same one would make its traceback longer."""
        return RegistrationRejected(self.code, self.namespace, self.worker_name, self.owner_worker_id, self._reason)


class DeclarationRefused(Exception):
    """The engine does not take functions or triggers of an app, which therefore does not start.

    Attributes:
        reasons: one text for each of them, with its function, its config and why.
    """

    def __init__(self, app: str, reasons: list[str]) -> None:
        super().__init__(
            "\n".join([f"the engine refuses what app '{app}' declares:", *(f"  {each}" for each in reasons)])
        )
        self.reasons = reasons
