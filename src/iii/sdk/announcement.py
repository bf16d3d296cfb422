"""What a worker tells the engine about itself (08 §4.10, N14)."""

import os
import platform
from functools import cache
from pathlib import Path

from msgspec import UNSET, Struct, UnsetType, structs

from iii.protocol.names import (
    BATCH_V1,
    CANCEL_FEATURE,
    DRAIN_FEATURE,
    LARGE_MESSAGES,
    OBSERVE_V1,
    REPLICA,
    TRACES_V1,
    TRACES_V2,
)
from iii.protocol.versions import COMPATIBILITY_LEVEL
from iii.sdk.options import InitOptions

FEATURES = [LARGE_MESSAGES, CANCEL_FEATURE, DRAIN_FEATURE, TRACES_V1, TRACES_V2, BATCH_V1]


class Announcement(Struct):
    """Payload of `engine::workers::register`; the nulls are written out, as every Python client does."""

    runtime: str
    version: str
    name: str
    os: str
    pid: int
    isolation: str | None
    namespace: str | None
    telemetry: dict[str, str | None]
    features: list[str]
    description: str | UnsetType = UNSET


@cache  # it is read from a file
def package_version() -> str:
    """Version of this distribution, `unknown` when it runs from a bare source tree."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import

    try:
        return version("iii-py")
    except PackageNotFoundError:
        return "unknown"


def announcement(options: InitOptions, name: str) -> Announcement:
    """Everything about this process and its project; it is no copy of another."""
    telemetry = options.telemetry
    language = os.environ.get("LANG", "").partition(".")[0]
    return Announcement(
        runtime="python",
        version=f"{COMPATIBILITY_LEVEL}+iii-py.{package_version()}",
        name=name,
        os=f"{platform.system()} {platform.release()} ({platform.machine()})",
        pid=os.getpid(),
        isolation=os.environ.get("III_ISOLATION") or None,
        namespace=options.effective_namespace,
        telemetry={
            "language": (telemetry and telemetry.language) or language or None,
            "project_name": (telemetry and telemetry.project_name) or _project_here(),
            "framework": (telemetry and telemetry.framework) or "iii-py",
        },
        features=FEATURES,
        description=options.worker_description or UNSET,
    )


def with_features(told: Announcement, copied: bool, observes: bool) -> Announcement:
    """The same of a worker that serves together with others, which may have its name (P10); that observes."""
    more = [feature for feature, has in ((REPLICA, copied), (OBSERVE_V1, observes)) if has]
    return structs.replace(told, features=[*told.features, *more]) if more else told


def _project_here() -> str | None:
    try:
        return project_name(Path.cwd())
    except OSError:  # the folder is gone
        return None


def project_name(folder: Path) -> str | None:
    """`[project] name` of the folder's pyproject.toml, else the folder's own name."""
    import tomllib  # slow to import

    try:
        name = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, ValueError, LookupError, TypeError):
        name = None
    if isinstance(name, str) and name.strip():
        return name.strip()
    return folder.name or None
