from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns: list[URLPattern | URLResolver] = [path("empty/", empty), path("", include("testkey.urls"))]
