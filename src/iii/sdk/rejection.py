"""The engine's refusal of a whole worker (01 §5.11)."""


class RegistrationRejected(Exception):
    """This worker may not be here, usually because another one holds its name; it does not come back by itself.

    Attributes:
        code: `WORKER_NAMESPACE_CONFLICT`, or one that a later engine knows.
        namespace, worker_name: what was claimed.
        owner_worker_id: who holds it.
    """

    def __init__(self, code: str, namespace: str, worker_name: str | None, owner_worker_id: str) -> None:
        super().__init__(
            f"{code}: worker '{worker_name}' rejected in namespace '{namespace}' (owned by '{owner_worker_id}')"
        )
        self.code = code
        self.namespace = namespace
        self.worker_name = worker_name
        self.owner_worker_id = owner_worker_id
