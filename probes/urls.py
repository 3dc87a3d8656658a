from django.urls import path, re_path

from probes import public, views

urlpatterns = [
    path("", views.home, name="home"),
    path("checks/", views.create, name="create"),
    path("checks/<str:token>/", views.check, name="check"),
    path("checks/<str:token>.json", views.check_json, name="check_json"),
    path("checks/<str:token>/live/", views.live, name="live"),
    path("checks/<str:token>/choose/", views.choose, name="choose"),
    path("checks/<str:token>/burn/", views.burn, name="burn"),
    path("provider-key-probes/", public.page_index, name="index"),
    path("provider-key-probes/<slug:slug>/", public.public_page, name="public_page"),
    re_path(r"^en/(?P<path>.*)$", public.without_prefix),
    path("healthz", views.healthz, name="healthz"),
]
