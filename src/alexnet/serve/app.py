"""The web application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from alexnet.serve.guard import Access, Guard
from alexnet.serve.problems import add_handlers
from alexnet.serve.routes import router, state_router
from alexnet.serve.service import Service
from alexnet.serve.static import router as page_router
from alexnet.serve.uploads import Memory

ABOUT = "Predictions of trained models, and what they depend on."


def create_app(service: Service, access: Access | None = None) -> FastAPI:
    """Create the web application, for any ASGI server.

    Args:
        service: with its models loaded; it works from the application's start to its end.
        access: who may ask; anybody unless given.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    # The pages of FastAPI load scripts from elsewhere.
    app = FastAPI(
        title="alexnet", version="1", description=ABOUT, lifespan=lifespan,
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.service, app.state.memory = service, Memory(service.limits.memory_bytes)
    app.include_router(router)
    app.include_router(state_router)
    app.include_router(page_router)
    add_handlers(app)
    app.add_middleware(Guard, service=service, access=access or Access())
    return app
