"""All routes that the published console has too (23 §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.console.backend import actions, data, discovery

if TYPE_CHECKING:
    from iii.console.backend.route import BackendRoute

BACKEND: tuple[BackendRoute, ...] = (*discovery.ROUTES, *data.ROUTES, *actions.ROUTES)
