from django.contrib import admin
from django.urls import include, path

handler400 = "probes.views.bad_request"
handler500 = "probes.views.server_error"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("probes.urls")),
]
