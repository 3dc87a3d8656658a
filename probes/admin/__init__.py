"""Coverage, kept by admins: providers, gateways, models, probes, metrics, capabilities.

Checks and what they found are not here: nobody but who submitted a key may see its result.
"""

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import UsernameField
from django.utils.translation import gettext_lazy as _
from django_q.models import Failure, OrmQ, Schedule, Success

from probes.admin import catalogue, operators, seen  # noqa: F401
from probes.forms import NameWidget


class SignInForm(AdminAuthenticationForm):
    username = UsernameField(widget=NameWidget(attrs={"autofocus": True}))


admin.site.login_form = SignInForm

admin.site.site_header = _("TestKey")
admin.site.site_title = _("TestKey")
admin.site.index_title = _("Coverage")

# The queue's innards: there is nothing here for an operator to do.
for model in (Success, Failure, OrmQ, Schedule):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
