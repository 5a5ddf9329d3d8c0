"""The REST API as an application: its routes, and its words for everything that goes wrong.

Every error is a problem document (RFC 9457); nothing that a caller sends shows a traceback.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from core.errors import WindlassError
from daemon.context import Refused, Served
from daemon.guards import Guards
from daemon.openapi import describe
from daemon.problems import MEDIA_TYPE, plain_problem, problem, status_of
from daemon.routes import audit, config, engine, events, runs, servers, tasks, webhooks, workspace

API = "1"
"""The version of the API: rises when something goes that a client relies on."""

PREFIX = f"/v{API}"
RESOURCES = (engine, workspace, servers, runs, tasks, events, config, audit, webhooks)


def make_app(served: Served) -> FastAPI:
    """The application that serves an engine."""
    app = FastAPI(
        title="Windlass",
        version=API,
        description="Runs, servers and events of one workspace.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.served = served
    app.add_middleware(Guards, served=served)
    for module in RESOURCES:
        app.include_router(module.router, prefix=PREFIX)
    app.add_exception_handler(WindlassError, _failed)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _internal)
    describe(app)
    return app


def _answer(document: dict[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)


async def _failed(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WindlassError)
    return _answer(problem(error) | {"status": status_of(error)})


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else {}
    if error.retry_after_s:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return _answer(
        plain_problem(error.status, HTTPStatus(error.status).phrase, error.detail, error.hint), headers
    )


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """A request that does not fit: every fault with the place in it, as a path."""
    assert isinstance(error, RequestValidationError)
    found = [
        {"file": "/".join(str(part) for part in one["loc"]), "line": 0, "column": 0, "message": one["msg"]}
        for one in error.errors()
    ]
    unread = any(one["type"] == "json_invalid" for one in error.errors())
    status = HTTPStatus.BAD_REQUEST if unread else HTTPStatus.UNPROCESSABLE_ENTITY
    title = "the body is no JSON" if unread else "the request does not fit"
    return _answer(plain_problem(status, title) | {"faults": found})


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    phrase, headers = HTTPStatus(error.status_code).phrase, dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The first route of the path knows of its own methods only.
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return _answer(plain_problem(error.status_code, phrase, str(error.detail or "")), headers)


def _methods(request: Request) -> set[str]:
    """What may be asked of the path of a request."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def _internal(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours; uvicorn writes it into the engine's log after this."""
    words = f"the engine failed inside: {type(error).__name__}"
    hint = "what happened stands in `windlass engine logs`; whatever is durable stays as it is"
    return _answer(problem(WindlassError(words, hint=hint)))
