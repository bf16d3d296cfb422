"""Why a WebSocket was closed by us (00 §4.2).

Never 1000, 1001 or no code towards a worker: Python clients up to 0.23 stay deaf after a clean close (01 §2.4).
"""

from enum import IntEnum


class CloseCode(IntEnum):
    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    AUTH_ERROR = 4401
    WORKER_NAMESPACE_CONFLICT = 4409
