"""How a registration says that several workers serve its function together (P8)."""

from typing import Literal, TypeAlias

ReplicaPolicy: TypeAlias = Literal["round_robin", "least_busy"]

MARK = "iii.replicas"  # member of its metadata
