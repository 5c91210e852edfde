"""Liveness, readiness and metrics, for whoever operates the server."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Readiness = Callable[[], Awaitable[Mapping[str, Any]]]
"""Probes each dependency for real. `ready` says whether calls can be taken; the rest says why."""


def health_router(readiness: Readiness, registry: CollectorRegistry) -> APIRouter:
    """`/health`: the process answers. `/ready`: can it take calls, 200 or 503. `/metrics`: Prometheus."""
    router = APIRouter(tags=["operation"])

    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/ready")
    async def ready() -> JSONResponse:
        report = await readiness()
        return JSONResponse(dict(report), status_code=200 if report["ready"] else 503)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router
