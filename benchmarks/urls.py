from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from testkey import urls


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns: list[URLPattern | URLResolver] = [path("empty/", empty), *urls.urlpatterns]
