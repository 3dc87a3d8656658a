"""Which language a page is in: the address says it. English has no prefix; a language is a folder in `locale/`."""

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language_from_request, override

SOURCE = "en"


def languages(folder: Path) -> list[tuple[str, str]]:
    """Codes and own names: English, which is what the code is written in, and each folder that holds messages."""
    found = (path.parent.parent.name for path in folder.glob("*/LC_MESSAGES/django.po"))
    codes = [SOURCE, *sorted(name.replace("_", "-").lower() for name in found)]
    names = {code: LANG_INFO[code]["name_local"] for code in codes}
    return [(code, name[0].upper() + name[1:]) for code, name in names.items()]


def of_path(path: str) -> str:
    """The language that an address names in its first part, spelled as ours are; else English."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return first if first in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


class LanguageMiddleware:
    """The language of the address for each page. What the browser prefers counts on the bare root alone,
    and not for who comes from a page of ours: he has chosen."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = of_path(request.path_info)
        bare = request.path_info == "/" and not request.META.get("QUERY_STRING") and request.method in ("GET", "HEAD")
        if bare and (preferred := _preferred(request)) != language:
            response: HttpResponse = HttpResponseRedirect(f"/{preferred}/", headers={"Cache-Control": "no-store"})
        else:
            with override(language):
                response = self.get_response(request)
        if bare:
            patch_vary_headers(response, ("Accept-Language", "Referer"))
        response.headers.setdefault("Content-Language", language)
        return response


def _preferred(request: HttpRequest) -> str:
    """The browser's first language that we have; ours for who comes from here."""
    own = f"{request.scheme}://{request.get_host()}/"
    if request.headers.get("Referer", "").startswith(own):
        return settings.LANGUAGE_CODE
    request.COOKIES.pop(settings.LANGUAGE_COOKIE_NAME, None)  # another application's, on the same host
    return get_language_from_request(request)
