"""The codes of `registrationrejected` (01 §6.3, 01 §6.4)."""

from iii.protocol.errors import ErrorCode

FUNCTION_NAMESPACE_CONFLICT = ErrorCode(
    "FUNCTION_NAMESPACE_CONFLICT",
    means="A registration was refused: another worker has registered the function id in that namespace.",
    do="Give the function another id or its worker another namespace, or mark both as replicas.",
)
WORKER_NAMESPACE_CONFLICT = ErrorCode(
    "WORKER_NAMESPACE_CONFLICT",
    means="A connection was refused: another worker has the name in that namespace.",
    do="Give the worker another name, or end the other one.",
    retry="later",
)
