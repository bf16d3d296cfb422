"""The registry of trigger types: who provides an event source in a namespace (01 §7.2, 02 §3.2)."""

from collections.abc import Iterator

from iii.engine.listeners import Listeners
from iii.engine.owner import Owner
from iii.engine.ownership import Key, Ownership
from iii.engine.schema import Schema, made
from iii.protocol.messages import RegisterTriggerType
from iii.protocol.names import DEFAULT_NAMESPACE, ENGINE_PREFIX


class TriggerType:
    """One provider's registration of a trigger type; schemas are JSON, null when absent."""

    __slots__ = ("description", "id", "key", "namespace", "owner", "schemas")

    shared = False

    def __init__(
        self,
        namespace: str,
        type_id: str,
        owner: Owner,
        description: str = "",
        *,
        config_schema: Schema = b"null",
        call_schema: Schema = b"null",
        return_schema: Schema = b"null",
    ) -> None:
        self.namespace = namespace
        self.id = type_id
        self.key: Key = (namespace, type_id)
        self.owner = owner
        self.description = description
        self.schemas = config_schema, call_schema, return_schema

    @property
    def config_schema(self) -> bytes:
        """Of a binding's config."""
        return made(self.schemas[0])

    @property
    def call_schema(self) -> bytes:
        """Of the payload that targets get."""
        return made(self.schemas[1])

    @property
    def return_schema(self) -> bytes:
        """Of what targets return, where that is fixed."""
        return made(self.schemas[2])

    @classmethod
    def from_message(cls, message: RegisterTriggerType, namespace: str, owner: Owner) -> "TriggerType":
        return cls(
            namespace,
            message.id,
            owner,
            message.description or "",
            config_schema=bytes(message.trigger_request_format),
            call_schema=bytes(message.call_request_format),
        )


class TriggerTypeRegistry:
    """The newest live provider of a type serves it; when it leaves, the one before does (N7)."""

    def __init__(self) -> None:
        self.changes: Listeners[[Key, TriggerType | None, TriggerType | None]] = Listeners()
        self.ownership: Ownership[TriggerType] = Ownership(self.changes)

    def __iter__(self) -> Iterator[TriggerType]:
        return iter(self.ownership)

    def get(self, key: Key) -> TriggerType | None:
        return self.ownership.active(key)

    def resolve(self, type_id: str, explicit: str | None, home: str) -> TriggerType | None:
        """The provider of a binding: the named namespace and no other, else home, else `default` (01 §7.2)."""
        if explicit is not None:
            return self.get((explicit, type_id))
        return self.get((home, type_id)) or self.get((DEFAULT_NAMESPACE, type_id))

    def register(self, trigger_type: TriggerType) -> bool:
        """False: an `engine::` type of the engine itself cannot be taken (N6)."""
        incumbent = self.get(trigger_type.key)
        reserved = incumbent is not None and incumbent.owner.in_process and incumbent.id.startswith(ENGINE_PREFIX)
        if reserved and incumbent is not None and incumbent.owner is not trigger_type.owner:
            return False
        self.ownership.claim(trigger_type, takes_over=True)
        return True
