"""For scripts: submit, read, burn, with an operator's API token. Problems are told as RFC 9457 says."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from probes import access, openapi, present_start, results, seal, store
from probes import burn as burning
from probes.exchange import TooLarge, parse_json
from probes.forms import CheckForm
from probes.private import private

View = Callable[..., HttpResponse]
FIELDS = {"keys", "provider", "base_url", "spend"}
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
WAIT = {"Retry-After": "60"}


class Problem(Exception):
    """What is wrong with a request, told without repeating any of it."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        super().__init__(status)
        self.status, self.detail, self.headers, self.more = status, detail, headers or {}, more

    def response(self) -> HttpResponse:
        body = {
            "type": "about:blank",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        response = JsonResponse(body, status=self.status, content_type="application/problem+json")
        for name, value in self.headers.items():
            response[name] = value
        return private(response)


def endpoint(*methods: str) -> Callable[[View], View]:
    """A view for these methods, whose problems become answers. A session counts for nothing here."""

    def wrap(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, **values: Any) -> HttpResponse:
            try:
                if request.method not in methods:
                    names = ", ".join(methods)
                    raise Problem(405, _("This address takes %(methods)s.") % {"methods": names}, {"Allow": names})
                return view(request, **values)
            except Problem as problem:
                return problem.response()
            except (DatabaseError, OSError):
                return Problem(503, _("TestKey cannot keep or read anything right now."), WAIT).response()

        return answer

    return wrap


def _operator(request: HttpRequest) -> User:
    """Whose API token the request brings."""
    operator = access.operator_of_token(request.headers.get("Authorization", ""))
    if operator is None:
        wanted = {"WWW-Authenticate": 'Bearer realm="TestKey"'}
        raise Problem(401, _("Send an API token: “Authorization: Bearer tk_…”."), wanted)
    request.user = operator
    return operator


@endpoint("POST")
def checks(request: HttpRequest) -> HttpResponse:
    """Submit. 201 with where the result is."""
    operator = _operator(request)
    form = CheckForm(_posted(request), most=access.most_keys(request), at_once=True)
    if not form.is_valid():
        errors = [{"field": f, "message": str(e)} for f, found in form.errors.items() for e in found]
        raise Problem(422, _("Nothing was sent."), errors=errors, refused=form.plan.refused)
    owner, keys = access.owner_of(operator), len(form.plan.keys)
    try:
        token = store.submit(
            form.plan,
            owner,
            spend=form.cleaned_data["spend"],
            admit=lambda: access.admit(owner, keys, operator=True),
        ).token
    except access.Refused as refused:
        detail = str(present_start.not_now(refused.status, refused.retry_after))
        raise Problem(refused.status, detail, {"Retry-After": str(refused.retry_after)}) from None
    url = request.build_absolute_uri(reverse("api_check", args=[token]))
    page = request.build_absolute_uri(reverse("check", args=[token]))
    response = JsonResponse({"token": token, "url": url, "page": page}, status=201)
    response["Location"] = url
    return private(response)


@sensitive_variables()
def _posted(request: HttpRequest) -> dict[str, Any]:
    """The body as the form's fields."""
    if request.content_type != "application/json":
        raise Problem(415, _("Send JSON, as application/json."))
    try:
        body = parse_json(request.body.decode("utf-8"))
    except (RequestDataTooBig, TooLarge):
        raise Problem(413, _("This is more than can be taken at once; send fewer keys.")) from None
    except (ValueError, UnreadablePostError):
        raise Problem(400, _("The body is not JSON.")) from None
    if not isinstance(body, dict):
        raise Problem(422, _("The body must be an object with “keys”."), errors=[])
    wrong = [{"field": "body", "message": _("It holds a field that is not known.")}] if set(body) - FIELDS else []
    wrong += [{"field": name, "message": text} for name, text in _wrong_types(body)]
    if wrong:
        raise Problem(422, _("Nothing was sent."), errors=wrong)
    keys = body["keys"]
    fields = {name: body.get(name, "") for name in ("provider", "base_url", "spend")}
    return fields | {"keys": keys if isinstance(keys, str) else "\n".join(keys)}


def _wrong_types(body: dict[str, Any]) -> list[tuple[str, str]]:
    keys = body.get("keys")
    found = []
    if not isinstance(keys, str) and not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        found.append(("keys", _("It must be text, or a list of texts.")))
    elif isinstance(keys, list) and any("\n" in key or "\r" in key for key in keys):
        found.append(("keys", _("A text of the list must be one line, so that each keeps its number.")))
    found += [
        (name, _("It must be text.")) for name in ("provider", "base_url") if not isinstance(body.get(name, ""), str)
    ]
    if not isinstance(body.get("spend", False), bool):
        found.append(("spend", _("It must be true or false.")))
    return found


@endpoint("GET", "HEAD", "DELETE")
def check(request: HttpRequest, token: str) -> HttpResponse:
    """Read, or burn. A wrong, a foreign and a burned token look alike."""
    mine = store.find(token, [access.owner_of(_operator(request))])
    try:
        if mine and request.method == "DELETE":
            burning.burn([mine.pk])
            burning.truncate_log()
            return private(HttpResponse(status=204))
        if mine:
            return private(JsonResponse(results.document(mine)[0]))
    except seal.Burned:
        pass
    raise Problem(404, _("Burned, or not yours."))


@endpoint("GET", "HEAD")
def description(request: HttpRequest) -> HttpResponse:
    return JsonResponse(openapi.document(request.build_absolute_uri("/").rstrip("/")))


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:
    return Problem(404, _("There is no such address.")).response()
