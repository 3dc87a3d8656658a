"""An operator's account: signing in and out, the password, his running checks, the tokens of his programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm, UsernameField
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import LoginView, PasswordChangeView, PasswordResetConfirmView
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from probes import access, paste, store
from probes.forms import NameWidget
from probes.models import Admission, ApiToken, Check, State, current
from probes.private import private


@receiver(user_logged_in)
def end_the_session_in_time(request: HttpRequest, **kwargs: Any) -> None:
    """So long after the sign-in, whatever was done since."""
    request.session.set_expiry(timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE))


@receiver(pre_save, sender=AccessAttempt)
def keep_nothing_that_was_posted(instance: AccessAttempt, **kwargs: Any) -> None:
    """Of a sign-in that failed, who it was and how often is kept. A key may stand in any of its fields."""
    instance.get_data = instance.post_data = ""


class Refusing:
    """A form that is refused is answered with 422, as everywhere."""

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)  # type: ignore[attr-defined]


class SignInForm(AuthenticationForm):
    username = UsernameField(widget=NameWidget(attrs={"autofocus": True}))


class SignIn(Refusing, LoginView):
    authentication_form = SignInForm
    template_name = "account/sign_in.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(section="account", **kwargs)


@method_decorator(never_cache, name="dispatch")
class Password(Refusing, SuccessMessageMixin, PasswordChangeView):
    template_name = "account/password.html"
    success_url = reverse_lazy("account")
    success_message = gettext_lazy("The password is changed. Everywhere else you are signed out.")


class ResetLink(Refusing, PasswordResetConfirmView):
    """Where a link leads that an admin handed over, or that came by mail: set a password, and be signed in."""

    template_name = "account/reset_link.html"
    success_url = reverse_lazy("account")
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"

    def get_user(self, uidb64: str) -> Any:
        """A stopped operator's link opens nothing."""
        user = super().get_user(uidb64)
        return user if user and user.is_active else None

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        return super().render_to_response(context, **{"status": 200 if self.validlink else 404, **kwargs})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reset(request: HttpRequest) -> HttpResponse:
    """Ask for a link by mail, where there is mail. The answer is the same whether or not anyone has that address."""
    form = PasswordResetForm(request.POST if request.method == "POST" and settings.MAIL else None)
    if form.is_valid():
        for user in form.get_users(form.cleaned_data["email"]):
            mailed = f"mail:{user.pk}"  # once in a while: it is somebody else, perhaps, who asks again and again
            if not Admission.lately(mailed).exists():
                Admission.objects.create(who=mailed, keys=0, at=timezone.now())
                access.queue_mail(user, request)
    context = {"form": form, "mail": settings.MAIL, "sent": form.is_valid(), "section": "account"}
    return render(request, "account/reset.html", context, status=422 if form.errors else 200)


@never_cache
@login_required
@require_safe
def account(request: HttpRequest) -> HttpResponse:
    return _page(request, TokenForm())


class TokenForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=60,
        help_text=gettext_lazy("What the program is called that will use it, such as “nightly”."),
        widget=NameWidget(attrs={"autocomplete": "off"}),
    )

    def clean_name(self) -> str:
        """What looks like a key was pasted into the wrong field: it is neither stored nor shown."""
        name = str(self.cleaned_data["name"])
        if (shape := paste.whose(name, current()).shape) and shape.prefix:
            raise forms.ValidationError(_("This looks like a key. Give the program's name instead."))
        return name


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def make_token(request: HttpRequest) -> HttpResponse:
    """The answer shows the token; nothing else ever does."""
    if request.method != "POST":
        return redirect("account")
    user, form = _operator(request), TokenForm(request.POST)
    if form.is_valid():
        try:
            with transaction.atomic():
                token = ApiToken.make(user.pk, form.cleaned_data["name"])
            return _page(request, TokenForm(), made=token)
        except IntegrityError:
            form.add_error("name", _("You have a token of this name."))
    return _page(request, form, status=422)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    if request.method == "POST":
        get_object_or_404(ApiToken, pk=pk, user=_operator(request)).delete()
    return redirect("account")


def _operator(request: HttpRequest) -> User:
    if not isinstance(request.user, User) or not access.is_operator(request.user):
        raise PermissionDenied
    return request.user


def _page(request: HttpRequest, form: TokenForm, made: str = "", status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"section": "account", "form": form, "made": made}
    if isinstance(request.user, User) and access.is_operator(request.user):
        context |= {
            "operator": True,
            "used": access.used(request.user),
            "limit": settings.OPERATOR_KEYS,
            "minutes": settings.WINDOW_SECONDS // 60,
            "checks": _running_checks(request),
            "tokens": ApiToken.objects.filter(user=request.user),
        }
    return render(request, "account/account.html", context, status=status)


def _running_checks(request: HttpRequest) -> list[dict[str, Any]]:
    """The live checks of the operator, and of this browser from before he signed in, the newest first, each with the
    token that leads to it."""
    now = timezone.now()
    checks = (
        Check.objects.live()
        .filter(owner__in=access.owners(request))
        .annotate(
            keys=Count("detections"),
            done=Count("detections", filter=Q(detections__state=State.DONE)),
            asking=Count("detections", filter=Q(detections__state__in=(State.READY, State.NEEDS_CHOICE))),
        )
        .order_by("-created_at")
    )
    found = []
    for check in checks:
        left = max(0, int((check.burns_at - now).total_seconds()))
        if token := store.token_of(check):
            found.append({"row": check, "token": token, "left": left, "clock": f"{left // 60}:{left % 60:02}"})
    return found


def locked_out(request: HttpRequest, credentials: dict[str, Any]) -> HttpResponse:
    """What django-axes answers after too many wrong passwords."""
    response = private(render(request, "account/locked.html", status=429))
    response["Retry-After"] = str(round(settings.AXES_COOLOFF_TIME.total_seconds()))
    return response
