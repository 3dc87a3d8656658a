"""Who asks, which checks he may read, and how much he may submit; what ends an operator's access, and what gives it."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import math
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core.mail import send_mail
from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from probes import burn
from probes.models import Admission, ApiToken, Check, Detection, State, hash_token
from probes.models.access import OPERATORS
from testkey.headers import client_address

log = logging.getLogger("testkey.access")

OWNER = "owner"  # the session's own random id
USER = "user:"  # begins an operator's; a random id has no colon
KEYS_PER_SECOND = 300  # that leave the queue, roughly: it only says when to come again
LEAST_WAIT = 5
ADMISSION_LOCK = 0x7465_7374  # any number that nothing else in the database locks


class Refused(Exception):
    """A submission that is not let in now: the HTTP status to answer, and in how many seconds to come again."""

    def __init__(self, status: int, retry_after: int) -> None:
        super().__init__(status, retry_after)
        self.status = status
        self.retry_after = retry_after


# Who asks


def is_operator(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Staff who are not operators count as anonymous."""
    if not isinstance(user, User) or not user.is_active:
        return False
    return user.is_superuser or user.groups.filter(name=OPERATORS).exists()


def owner_of(user: User) -> str:
    return f"{USER}{user.pk}"


def owners(request: HttpRequest) -> list[str]:
    """Whose checks this request may read: the operator's, and those of this browser from before he signed in."""
    mine = [owner_of(request.user)] if isinstance(request.user, User) and is_operator(request.user) else []
    browser = _browser(request)
    return [*mine, browser] if browser else mine


def make_owner(request: HttpRequest) -> str:
    """Whose a new check is: the operator's, else this browser's. The session keeps a new id once a check is let in."""
    if isinstance(request.user, User) and is_operator(request.user):
        return owner_of(request.user)
    return _browser(request) or secrets.token_urlsafe(32)


def _browser(request: HttpRequest) -> str:
    """The session's own random id, if it has one. It makes nobody an operator: that is whom the sign-in says."""
    found = str(request.session.get(OWNER, ""))
    return "" if found.startswith(USER) else found


def operator_of_token(header: str) -> User | None:
    """The operator whose API token an Authorization header brings (`Bearer tk_…`)."""
    scheme, _space, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    row = ApiToken.objects.select_related("user").filter(token_hash=hash_token(token.strip())).first()
    if row is None or not is_operator(row.user):
        return None
    today = timezone.now().date()
    if row.last_used_on != today:
        with contextlib.suppress(DatabaseError):  # a full disk keeps nobody from burning
            ApiToken.objects.filter(pk=row.pk).update(last_used_on=today)
    return row.user


# How much he may submit


def who(request: HttpRequest) -> str:
    """Whose quota a submission uses: the operator's, else the address's, as a keyed hash."""
    if isinstance(request.user, User) and is_operator(request.user):
        return owner_of(request.user)
    return salted_hmac("admission", _network(client_address(request))).hexdigest()


def _network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address: a household has as many of those as it likes."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(ip) >> 64 << 64))


def most_keys(request: HttpRequest) -> int:
    """How many keys one check of this request may have."""
    if is_operator(request.user):
        return min(settings.MAX_KEYS, settings.OPERATOR_KEYS or settings.MAX_KEYS)
    return settings.ANONYMOUS_KEYS


def admit(who: str, keys: int, *, operator: bool) -> None:
    """Note a submission against its quota, or raise Refused. Called within the transaction that stores it."""
    _one_at_a_time()
    _within_quota(who, keys, operator)
    _room_in_the_queue()
    Admission.objects.create(who=who, keys=keys, at=timezone.now())


def admit_start(who: str, further: int, *, operator: bool) -> None:
    """The same when keys that waited are started: `further` of them go to one destination more than was counted."""
    _one_at_a_time()
    _room_in_the_queue()
    if operator and further:
        _within_quota(who, further, operator)
        Admission.objects.create(who=who, keys=further, at=timezone.now())


def _within_quota(who: str, keys: int, operator: bool) -> None:
    limit, cost = (settings.OPERATOR_KEYS, keys) if operator else (settings.ANONYMOUS_LIMIT, 1)
    if limit and (wait := _wait(who, limit - cost, operator)):
        raise Refused(429, wait)


def _room_in_the_queue() -> None:
    waiting = Detection.objects.filter(state__in=(State.QUEUED, State.PROBING)).count()
    if waiting >= settings.QUEUE_KEYS:
        raise Refused(503, max(LEAST_WAIT, math.ceil(waiting / KEYS_PER_SECOND)))


def _one_at_a_time() -> None:
    """Let nobody else be admitted until this transaction ends. SQLite's IMMEDIATE transactions are so by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADMISSION_LOCK])


def _wait(who: str, room: int, operator: bool) -> int:
    """Seconds until no more than `room` of the quota is used; 0 if that is so now."""
    if room < 0:
        return int(settings.WINDOW_SECONDS)
    now = free_at = timezone.now()
    lately = [(row.at, row.keys if operator else 1) for row in Admission.lately(who)]
    used = sum(cost for _at, cost in lately)
    for at, cost in lately:
        if used > room:
            used -= cost
            free_at = at + timedelta(seconds=settings.WINDOW_SECONDS)
    return math.ceil((free_at - now).total_seconds())


def used(user: User) -> int:
    """How many keys of this operator's quota are used."""
    return sum(Admission.lately(owner_of(user)).values_list("keys", flat=True))


# Giving access, and ending it


def sign_in_link(user: User, origin: str) -> str:
    """A link with which the user sets a password and is signed in: once, while PASSWORD_RESET_TIMEOUT lasts."""
    number = urlsafe_base64_encode(force_bytes(user.pk))
    return origin + reverse("reset_link", args=[number, default_token_generator.make_token(user)])


def queue_mail(user: User, request: HttpRequest) -> None:
    """Mail the user a link. Through the queue: nobody waits for it, nor learns by waiting whether there was a user."""
    async_task(mail_link, user.pk, f"{request.scheme}://{request.get_host()}", save=False)


def mail_link(user_id: int, origin: str) -> None:
    """The queue's task. The link is made here, so that it is stored nowhere."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        return
    words = {"username": user.get_username(), "origin": origin, "link": sign_in_link(user, origin)}
    text = _(
        "This link sets a password for %(username)s at %(origin)s and signs you in. It works once, within 3 days:\n\n"
        "%(link)s\n\n"
        "If you did not expect it, you need not do anything.\n"
    )
    try:
        send_mail(_("Sign in to TestKey"), text % words, None, [user.email])
    except OSError as error:  # smtplib's errors are such; their texts hold addresses
        log.warning("a sign-in link could not be mailed: %s", type(error).__name__)


def stop(user: User) -> None:
    """Refuse an operator from now on: his sessions end, his tokens are refused, his running checks are cancelled."""
    User.objects.filter(pk=user.pk).update(is_active=False)
    live = Session.objects.filter(expire_date__gt=timezone.now()).iterator()
    his = [session.pk for session in live if session.get_decoded().get(SESSION_KEY) == str(user.pk)]
    Session.objects.filter(pk__in=his).delete()
    running = Check.objects.live().filter(owner=owner_of(user), detections__state__in=burn.UNFINISHED)
    burn.cancel(set(running.values_list("pk", flat=True)))
