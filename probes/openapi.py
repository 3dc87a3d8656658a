"""The API's description, OpenAPI 3.1. `tests/test_api.py` holds it against the running server."""

from __future__ import annotations

from typing import Any

from probes.report import CHECK_STATES, DETECTION_STATES, IDENTITY_STATES
from probes.terms import VERDICTS
from probes.verdict import STATES, STEPS

Schema = dict[str, Any]


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, required: list[str] | None = None, **more: Any) -> Schema:
    """All properties are there, unless `required` says which."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    } | more


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _enum(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time"}
VALUE: Schema = {"type": ["string", "number", "boolean", "array", "null"]}

SCHEMAS: Schema = {
    "Submission": _object(
        {
            "keys": {
                "description": (
                    "Any text that holds keys (a list, .env, JSON, a curl command, …), or a list of them; the first of"
                    " a list is on line 1. At most 1000 keys."
                ),
                "examples": ["sk-ant-api03-this-key-was-made-up-and-is-nobodys"],
                "oneOf": [
                    {"type": "string", "maxLength": 1048576},
                    {"type": "array", "items": {"type": "string", "pattern": "^[^\\r\\n]*$"}},
                ],
            },
            "provider": {"type": "string", "description": "Slug of the provider; absent or empty: go by the shape."},
            "base_url": {
                "type": "string",
                "maxLength": 300,
                "description": "The gateway's or relay's address, if the keys came with one.",
            },
            "spend": {
                "type": "boolean",
                "default": False,
                "description": "Also ask probes that may spend up to 1 token per key.",
            },
        },
        required=["keys"],
        additionalProperties=False,
    ),
    "Accepted": _object({"token": TEXT, "url": TEXT, "page": TEXT}),
    "Refused": _object({"line": NUMBER, "reason": TEXT}),
    "Evidence": _object(
        {"metric": TEXT, "value": VALUE, "unit": MAYBE_TEXT, "state": _enum(*STATES), "read_from": TEXT}
    ),
    "Finding": _object(
        {
            "probe": TEXT,
            "call": TEXT,
            "status": {"type": ["integer", "null"]},
            "elapsed_ms": NUMBER,
            "request_id": MAYBE_TEXT,
            "code": MAYBE_TEXT,
            "message": MAYBE_TEXT,
            "verdict": _enum(*VERDICTS),
            "cause": MAYBE_TEXT,
            "evidence": _list(_ref("Evidence")),
        }
    ),
    "Detection": _object(
        {
            "number": NUMBER,
            "line": NUMBER,
            "column": NUMBER,
            "length": NUMBER,
            "label": TEXT,
            "state": _enum(*DETECTION_STATES),
            "candidates": _list(TEXT),
            "provider": MAYBE_TEXT,
            "gateway": MAYBE_TEXT,
            "origin": MAYBE_TEXT,
            "identity": _object({"state": _enum(*IDENTITY_STATES), "evidence": _list(TEXT)}),
            "verdict": _enum(*VERDICTS),
            "cause": MAYBE_TEXT,
            "ability_to_pay": _enum("yes", "no", "not_tested"),
            "requests": NUMBER,
            "tokens_spent": NUMBER,
            "key_destroyed_at": {"type": ["string", "null"], "format": "date-time"},
            "findings": _list(_ref("Finding")),
            "models": _object(
                {
                    "visible": {"type": ["integer", "null"]},
                    "covered": _list(TEXT),
                    "missing": _list(TEXT),
                    "new": _list(TEXT),
                }
            ),
            "capabilities": _list(
                _object({"slug": TEXT, "label": TEXT, "state": {"enum": [*STATES, None], "type": ["string", "null"]}})
            ),
            "path": _list(_object({"step": _enum(*STEPS), "state": _enum("yes", "no", "not_tested"), "reason": TEXT})),
            "next_actions": _list(_object({"slug": TEXT, "label": TEXT, "reason": TEXT, "href": MAYBE_TEXT})),
        }
    ),
    "Document": _object(
        {
            "check": _object(
                {
                    "created_at": TIME,
                    "burns_at": TIME,
                    "state": _enum(*CHECK_STATES),
                    "lab": {"type": "boolean"},
                }
            ),
            "detections": _list(_ref("Detection")),
            "refused": _list(_ref("Refused")),
        }
    ),
    "Problem": _object(
        {
            "type": TEXT,
            "title": TEXT,
            "status": NUMBER,
            "detail": TEXT,
            "errors": _list(_object({"field": TEXT, "message": TEXT})),
            "refused": _list(_ref("Refused")),
        },
        required=["type", "title", "status", "detail"],
        description="RFC 9457. What was posted is never repeated.",
    ),
}

WAIT: Schema = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}

ASK: Schema = {"WWW-Authenticate": {"description": "`Bearer`.", "required": True, "schema": {"type": "string"}}}


def _problem(description: str, headers: Schema | None = None) -> Schema:
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {"description": description, "content": content} | ({"headers": headers} if headers else {})


def _answer(description: str, schema: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


UNKNOWN = _problem("The API token is missing, revoked, or its operator is stopped.", ASK)
GONE = _problem("Burned, or not yours: which of them is not told.")
OF_A_CHECK = {"401": UNKNOWN, "404": GONE, "503": _problem("Nothing can be read or burned right now.", WAIT)}
BY_TOKEN = {"token": "$response.body#/token"}
CREATED: Schema = {
    "headers": {"Location": {"description": "The same as `url`.", "required": True, "schema": {"type": "string"}}},
    "links": {name: {"operationId": name, "parameters": BY_TOKEN} for name in ("read", "burn")},
}
TOKEN: Schema = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "What the answer to the submission gave.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}


def document(origin: str) -> Schema:
    """The whole description, for a site at this origin."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "TestKey",
            "version": "1",
            "description": (
                "Check API keys of AI providers by free, read-only calls. Keys die when their last call has ended,"
                " results five minutes after the submission. A key whose provider is clear from its shape, or that"
                " `provider` or `base_url` names, is asked about at once, at that provider's own hosts or at the base"
                " URL; any other is sent nowhere and has state `needs_choice`."
            ),
        },
        "servers": [{"url": origin}],
        "security": [{"token": []}],
        "paths": {
            "/api/checks/": {
                "post": {
                    "operationId": "submit",
                    "summary": "Submit keys.",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _ref("Submission")}},
                    },
                    "responses": {
                        "201": _answer("Accepted; `url` is to be asked for the result.", "Accepted") | CREATED,
                        "400": _problem("The body is not JSON."),
                        "401": UNKNOWN,
                        "413": _problem("The body is too large."),
                        "415": _problem("The body must be application/json."),
                        "422": _problem("Nothing can be sent; `errors` and `refused` say why."),
                        "429": _problem("The operator's quota is used up.", WAIT),
                        "503": _problem(
                            "More keys wait than can be asked about in time, or nothing can be kept.", WAIT
                        ),
                    },
                }
            },
            "/api/checks/{token}/": {
                "parameters": [TOKEN],
                "get": {
                    "operationId": "read",
                    "summary": "The result as it stands now.",
                    "responses": {"200": _answer("The result.", "Document"), **OF_A_CHECK},
                },
                "delete": {
                    "operationId": "burn",
                    "summary": "Burn it now.",
                    "responses": {"204": {"description": "Burned."}, **OF_A_CHECK},
                },
            },
        },
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }
