"""The description of the API: what FastAPI makes of the routes, with the problems that any of them may answer.

FastAPI describes its own form of a refused request; ours are problem documents (RFC 9457), everywhere.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from daemon.problems import MEDIA_TYPE

PROBLEMS = (400, 401, 403, 404, 408, 409, 410, 413, 421, 422, 429, 500, 502, 503, 507)
SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong, where, and what to do next.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "hint"],
    "properties": {
        "type": {"type": "string", "description": "urn:windlass:problem:NAME, or about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string", "description": "what to do next"},
        "name": {"type": "string", "description": "the name that has to be typed"},
        "names": {
            "type": "array",
            "items": {"type": "string"},
            "description": "variables that have to be given",
        },
        "faults": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["file", "line", "column", "message"],
                "properties": {
                    "file": {"type": "string"},
                    "line": {"type": "integer"},
                    "column": {"type": "integer"},
                    "message": {"type": "string"},
                    "hint": {"type": "string"},
                },
            },
        },
    },
}


def describe(app: FastAPI) -> None:
    """Lets an application describe itself so."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = SCHEMA
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if path.endswith("/health"):
                operation["security"] = []
            for status in PROBLEMS:
                told = {"description": HTTPStatus(status).phrase, "content": content}
                operation["responses"][str(status)] = told
