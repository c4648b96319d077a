"""Errors as problem details (RFC 9457).

Source: RFC 9457, "Problem Details for HTTP APIs".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
"""Seconds after which a client that was answered 503 may try again."""
TITLES = {
    408: "The request took too long to arrive",
    413: "Too large",
    415: "Not an image that is read",
    422: "Not usable",
    503: "Too busy",
}


UNREADABLE = "Unreadable image"
"""The title of a problem with an image rather than with the request; `Client` tells them apart by
it."""


class ProblemError(Exception):
    """An error that a request is answered with: its status and what is wrong.

    Args:
        status: of the answer.
        detail: one sentence for people.
        title: the kind of problem; that of the status unless given.
    """

    def __init__(self, status: int, detail: str, title: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.title = title or TITLES.get(status) or HTTPStatus(status).phrase

    def as_dict(self) -> dict[str, str | int]:
        """The members of the problem's JSON object."""
        return {"title": self.title, "status": self.status, "detail": self.detail}

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The HTTP response, with headers for the status."""
        retry = {"Retry-After": str(RETRY_SECONDS)} if self.status == 503 else {}
        challenge = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return Response(
            json.dumps(self.as_dict()),
            self.status,
            headers={**(headers or {}), **retry, **challenge},
            media_type=MEDIA_TYPE,
        )


def too_busy(what: str) -> ProblemError:
    """The 503 error of a server that is too busy."""
    return ProblemError(503, f"{what}; try again in a moment")


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the API with problem details."""
    app.add_exception_handler(ProblemError, _of_problem)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(ClientDisconnect, _of_disconnect)


async def _of_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentences = {
        404: f"there is nothing at {request.url.path}; /openapi.json describes the API",
        405: f"{request.method} is not possible at {request.url.path}",
    }
    problem = ProblemError(error.status_code, sentences.get(error.status_code, str(error.detail)))
    headers = dict(error.headers or {})
    if headers.get("Allow") == "GET":  # which the guard makes of HEAD
        headers["Allow"] = "GET, HEAD"
    return problem.response(headers)


async def _of_validation(request: Request, error: Exception) -> Response:
    """Answer 422 with the first validation error, in a sentence that names the parameter."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return ProblemError(422, f"{name}: {first['msg']}").response()


async def _of_disconnect(request: Request, error: Exception) -> Response:
    return ProblemError(400, "the client has closed the connection").response()
