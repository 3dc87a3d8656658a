"""What every answer carries, and what an error report may hold."""

import logging
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac
from django.views.debug import SafeExceptionReporterFilter

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class ContentSecurityPolicyMiddleware:
    """One strict policy for every page, the admin's too. (Django has its own from 6.0 on.)"""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response


def client_address(request: HttpRequest) -> str:
    """Who asks: the address that the outermost of our own proxies saw. What stands left of it is the visitor's word."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if settings.PROXIES and len(forwarded) >= settings.PROXIES and forwarded[-settings.PROXIES].strip():
        address = forwarded[-settings.PROXIES].strip()
        with_port = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+", address)  # some proxies write it so
        return (with_port[1] or with_port[2]) if with_port else address
    return str(request.META.get("REMOTE_ADDR", ""))


def login_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The name that a failed sign-in is counted under, as a keyed hash: what is typed there may be a key."""
    name = (credentials or {}).get("username") or request.POST.get("username", "")
    return salted_hmac("sign-in", name).hexdigest()


class NoTokens(logging.Filter):
    """Log lines without the tokens of results, which stand in addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = re.sub(r"/checks/[\w-]+", "/checks/[token]", record.getMessage())
        record.msg = re.sub(r"/account/reset/[\w-]+/[\w-]+", "/account/reset/[link]", message)
        record.args = ()
        return True


class NothingToReport(SafeExceptionReporterFilter):
    """Error reports without posted values and without local variables: either may be a key."""

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
        return []
