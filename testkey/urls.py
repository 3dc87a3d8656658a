from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import path, re_path

from probes import public
from probes.admin.coverage import coverage
from probes.urls import pages, programs

handler400 = "probes.views.bad_request"
handler404 = "probes.views.not_found"
handler500 = "probes.views.server_error"

SPOKEN = "|".join(sorted({code.partition("-")[0] for code, _name in settings.LANGUAGES}))

urlpatterns = [
    path("admin/coverage/", admin.site.admin_view(coverage), name="admin_coverage"),
    path("admin/", admin.site.urls),
    *programs,
    *i18n_patterns(*pages, prefix_default_language=False),
    re_path(rf"^(?P<tag>(?i:{SPOKEN})(?:-[A-Za-z]+)*)/(?P<path>.*)$", public.other_language),
]
