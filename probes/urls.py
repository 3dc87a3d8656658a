"""Two lists: what programs ask for has one address, in English; what people read has one in each language."""

from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, path, re_path
from django.views.generic import RedirectView

from probes import account, api, core_pages, found, market, public, result_views, views
from probes.pages import FAMILIES

programs = [
    path("checks/<str:token>.json", result_views.check_json, name="check_json"),
    path("checks/<str:token>/export/", result_views.export, name="export"),
    path("api/checks/", api.checks, name="api_checks"),
    path("api/checks/<str:token>/", api.check, name="api_check"),
    path("api/openapi.json", api.description, name="openapi"),
    re_path(r"^api/.", api.unknown),
    path("healthz", views.healthz, name="healthz"),
    path("sitemap.xml", found.index),
    path("sitemaps/<str:name>.xml", found.sitemap),
    path("robots.txt", found.robots),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg", permanent=True)),
]

pages: list[URLPattern] = [
    path("", views.home, name="home"),
    path("checks/", views.create, name="create"),
    path("checks/<str:token>/", result_views.check, name="check"),
    path("checks/<str:token>/live/", result_views.live, name="live"),
    path("checks/<str:token>/start/", views.start, name="start"),
    path("checks/<str:token>/cancel/", views.cancel, name="cancel"),
    path("checks/<str:token>/burn/", views.burn, name="burn"),
    path("checks/<str:token>/keys/<int:number>/", result_views.key, name="key"),
    path("checks/<str:token>/compare/", result_views.compare, name="compare"),
    path("providers/", core_pages.providers),
    path("models/", market.market),
    path("models/<str:identity>/", market.model),
    path("errors/", core_pages.errors),
    path("capabilities/", core_pages.capabilities),
    path("promise/", core_pages.promise),
    path("api/", core_pages.for_scripts),
    path("account/", account.account, name="account"),
    path("account/sign-in/", account.SignIn.as_view(), name="sign_in"),
    path("account/sign-out/", LogoutView.as_view(), name="sign_out"),
    path("account/password/", account.Password.as_view(), name="password"),
    path("account/reset/", account.reset, name="reset"),
    path("account/reset/<str:uidb64>/<str:token>/", account.ResetLink.as_view(), name="reset_link"),
    path("account/tokens/", account.make_token, name="make_token"),
    path("account/tokens/<int:pk>/revoke/", account.revoke_token, name="revoke_token"),
]
for family in FAMILIES:
    pages += [
        path(f"{family}/", public.family_home, {"family": family}),
        path(f"{family}/<slug:slug>/", public.page, {"family": family}),
    ]
