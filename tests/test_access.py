"""Who may ask, whose checks he may read, and how much he may submit."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.test import Client, RequestFactory

from probes import access, burn, seal
from probes.models import Admission, ApiToken, Check, Detection, State, hash_token
from tests.conftest import Clock, database_file

HERE = "192.0.2.7"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def public(request: pytest.FixtureRequest, settings: Any) -> None:
    """The limits of a machine that others reach."""
    settings.ANONYMOUS_KEYS, settings.ANONYMOUS_LIMIT = 5, 3


def operator(name: str = "olga") -> User:
    user = User.objects.create_user(name, f"{name}@example.com", "a long and quiet phrase")
    user.groups.add(Group.objects.get(name="operator"))
    return user


def request_of(user: User | None = None, address: str = HERE, forwarded: str = "", owner: str = "") -> HttpRequest:
    request = RequestFactory().get("/", REMOTE_ADDR=address, HTTP_X_FORWARDED_FOR=forwarded)
    request.user = user or AnonymousUser()
    request.session = SessionStore()
    if owner:
        request.session[access.OWNER] = owner
    return request


def refused(who: str, keys: int = 1, operator: bool = False) -> access.Refused | None:
    try:
        with transaction.atomic():
            access.admit(who, keys, operator=operator)
    except access.Refused as refusal:
        return refusal
    return None


# Who asks


def test_a_group_makes_an_operator_and_so_does_being_superuser(db: None) -> None:
    assert access.is_operator(operator())
    assert access.is_operator(User.objects.create_superuser("boss"))


def test_staff_who_are_no_operators_count_as_anonymous(db: None) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    request = request_of(clerk)
    assert not access.is_operator(clerk)
    assert access.most_keys(request) == 5
    assert access.who(request) == access.who(request_of())
    assert not access.make_owner(request).startswith("user:")


def test_a_proxy_that_writes_the_port_makes_nobody_another_visitor(settings: Any) -> None:
    settings.PROXIES = 1
    told = [access.who(request_of(forwarded=text)) for text in ("203.0.113.9", "203.0.113.9:5123", "203.0.113.9:5124")]
    assert len(set(told)) == 1
    six = [access.who(request_of(forwarded=text)) for text in ("2001:db8::1", "[2001:db8::1]:443", "[2001:db8::1]")]
    assert len(set(six)) == 1


def test_nobody_and_the_stopped_are_no_operators(db: None) -> None:
    olga = operator()
    olga.is_active = False
    assert not access.is_operator(olga)
    assert not access.is_operator(AnonymousUser())


def test_an_operators_check_is_his_wherever_he_signs_in(db: None) -> None:
    olga = operator()
    assert access.make_owner(request_of(olga, owner="browser")) == f"user:{olga.pk}"
    assert access.owners(request_of(olga)) == [f"user:{olga.pk}"]


def test_what_a_browser_submitted_before_the_sign_in_stays_readable_in_it(db: None) -> None:
    assert access.owners(request_of(operator(), owner="browser"))[1:] == ["browser"]


def test_a_browser_gets_a_random_owner_and_reads_nothing_before_that(db: None) -> None:
    request = request_of()
    assert access.owners(request) == []
    owner = access.make_owner(request)
    assert len(owner) > 40
    assert access.make_owner(request_of()) != owner


def test_a_browser_keeps_its_owner(db: None) -> None:
    request = request_of(owner="browser")
    assert access.make_owner(request) == "browser"
    assert access.owners(request) == ["browser"]


def test_who_is_not_let_in_leaves_no_session_behind(db: None, settings: Any) -> None:
    settings.ANONYMOUS_LIMIT = 1
    answers = [Client().post("/checks/", {"keys": "hf_TestKeyFakeNeverIssued0000ABCDEFGH"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 429]
    assert Session.objects.count() == 1


def test_no_session_makes_an_operator_of_anyone(db: None) -> None:
    olga = operator()
    forged = request_of(owner=access.owner_of(olga))
    assert access.owners(forged) == []
    assert access.make_owner(forged) != access.owner_of(olga)
    assert access.owners(request_of(operator("otto"), owner=access.owner_of(olga)))[1:] == []


def test_an_operator_may_have_a_thousand_keys_in_a_check_and_never_more_than_his_quota(db: None, settings: Any) -> None:
    assert access.most_keys(request_of(operator())) == 1000
    settings.OPERATOR_KEYS = 200
    assert access.most_keys(request_of(operator("otto"))) == 200


# Whose quota


def test_a_quota_is_kept_under_a_hash_and_not_under_the_address(db: None) -> None:
    who = access.who(request_of())
    assert HERE not in who
    assert len(who) <= 64
    assert access.who(request_of(address="192.0.2.8")) != who


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002::0001", True),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.8", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("not an address", "", False),
    ],
)
def test_an_ipv6_network_is_one_address(one: str, other: str, same: bool) -> None:
    assert (access.who(request_of(address=one)) == access.who(request_of(address=other))) is same


def test_a_forwarded_address_counts_behind_our_proxies_only(settings: Any) -> None:
    direct = access.who(request_of(forwarded="203.0.113.1"))
    assert direct == access.who(request_of())
    settings.PROXIES = 1
    assert access.who(request_of(forwarded="203.0.113.1")) == access.who(request_of(address="203.0.113.1"))


def test_turning_the_forwarded_address_brings_no_second_quota(db: None, settings: Any) -> None:
    settings.PROXIES = 1
    told = [refused(access.who(request_of(forwarded=f"10.0.0.{n}, 203.0.113.1"))) for n in range(4)]
    assert [bool(refusal) for refusal in told] == [False, False, False, True]


# How much


def test_the_check_after_the_last_is_429_and_says_when_to_come_again(db: None, at: Clock) -> None:
    for second in (0, 60, 100):
        at(second)
        assert refused("x") is None
    at(200.5)
    refusal = refused("x")
    assert refusal is not None
    assert (refusal.status, refusal.retry_after) == (429, 400)
    assert refused("y") is None


def test_the_window_slides_and_the_time_told_is_true(db: None, at: Clock) -> None:
    for second in (0, 60, 100):
        at(second)
        refused("x")
    at(599.9)
    assert refused("x").retry_after == 1  # type: ignore[union-attr]
    at(600.9)
    assert refused("x") is None
    assert refused("x").retry_after == 60  # type: ignore[union-attr]


def test_a_refusal_uses_up_nothing(db: None) -> None:
    for _ in range(5):
        refused("x")
    assert Admission.objects.count() == 3


def test_an_operator_is_counted_in_keys(db: None, at: Clock) -> None:
    assert refused("user:1", 1000, operator=True) is None
    at(10)
    assert refused("user:1", 900, operator=True) is None
    at(20)
    assert refused("user:1", 100, operator=True) is None
    assert (refused("user:1", 1, operator=True).retry_after) == 580  # type: ignore[union-attr]
    assert (refused("user:1", 1000, operator=True).retry_after) == 580  # type: ignore[union-attr]
    assert (refused("user:1", 1001, operator=True).retry_after) == 590  # type: ignore[union-attr]
    at(600)
    assert refused("user:1", 1000, operator=True) is None


def test_more_than_a_whole_quota_is_refused_for_a_window(db: None) -> None:
    assert refused("user:1", 2001, operator=True).retry_after == 600  # type: ignore[union-attr]


def test_a_limit_of_nothing_is_no_limit(db: None, settings: Any) -> None:
    settings.ANONYMOUS_LIMIT = settings.OPERATOR_KEYS = 0
    assert [refused("x") for _ in range(20)] == [None] * 20
    assert [refused("user:1", 1000, operator=True) for _ in range(5)] == [None] * 5


def check_of(owner: str, state: State = State.QUEUED, keys: int = 1) -> Check:
    check = Check.objects.create(token_hash=hash_token(f"{owner}{state}{time.monotonic_ns()}"), owner=owner)
    seal.make_data_keys(check.pk)
    Detection.objects.bulk_create(
        Detection(check_of=check, number=n, line=n, label=f"line {n}", state=state) for n in range(1, keys + 1)
    )
    return check


def test_burning_refills_no_quota(db: None) -> None:
    for _ in range(3):
        assert refused("x") is None
        burn.burn([check_of("x").pk])
    assert refused("x") is not None


def test_a_full_queue_is_503_for_everyone_and_what_is_done_is_not_in_it(db: None, settings: Any) -> None:
    settings.QUEUE_KEYS = 6
    check_of("a", State.QUEUED, 3)
    check_of("a", State.PROBING, 2)
    check_of("a", State.DONE, 50)
    check_of("a", State.NEEDS_CHOICE, 50)
    assert refused("x") is None
    check_of("b")
    for operator_too in (False, True):
        refusal = refused("y", operator=operator_too)
        assert refusal is not None
        assert (refusal.status, refusal.retry_after) == (503, 5)
    assert not Admission.objects.filter(who="y").exists()


def test_a_longer_queue_says_a_longer_time(db: None, settings: Any) -> None:
    settings.QUEUE_KEYS = 3000
    check_of("a", keys=3001)
    assert refused("x").retry_after == 11  # type: ignore[union-attr]


def test_admissions_are_purged_once_they_count_no_more(db: None, at: Clock) -> None:
    refused("x")
    at(300)
    refused("x")
    at(600)
    Admission.purge()
    assert Admission.objects.count() == 1


def test_submissions_at_one_moment_do_not_pass_a_limit_together(disk: Path) -> None:
    barrier, let_in = threading.Barrier(8), []

    def submit() -> None:
        with database_file(disk):
            barrier.wait()
            let_in.append(refused("x") is None)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(let_in) == [False] * 5 + [True] * 3
    assert Admission.objects.count() == 3


def test_a_submission_that_breaks_off_uses_up_nothing(db: None) -> None:
    with transaction.atomic():
        access.admit("x", 1, operator=False)
        transaction.set_rollback(True)
    assert not Admission.objects.exists()


# Tokens of programs


def test_a_token_signs_in_its_operator(db: None) -> None:
    olga = operator()
    token = ApiToken.make(olga.pk, "nightly")
    assert token.startswith("tk_")
    assert access.operator_of_token(f"Bearer {token}") == olga
    assert access.operator_of_token(f"bearer  {token}") == olga


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer tk_wrong", "Basic {token}", "{token}", "Bearer {hash}"]
)
def test_anything_else_signs_in_nobody(db: None, header: str) -> None:
    token = ApiToken.make(operator().pk, "nightly")
    assert access.operator_of_token(header.format(token=token, hash=hash_token(token))) is None


def test_only_the_hash_of_a_token_is_in_the_database(disk: Path) -> None:
    token = ApiToken.make(operator().pk, "nightly")
    stored = b"".join(file.read_bytes() for file in disk.parent.iterdir())
    assert hash_token(token).encode() in stored
    assert token.encode() not in stored
    assert token[3:15].encode() not in stored


def test_a_tokens_last_use_is_noted_once_a_day(db: None, at: Clock, django_assert_num_queries: Any) -> None:
    header = f"Bearer {ApiToken.make(operator().pk, 'nightly')}"
    with django_assert_num_queries(3):
        access.operator_of_token(header)
    with django_assert_num_queries(2):
        access.operator_of_token(header)
    first = ApiToken.objects.get().last_used_on
    at(24 * 3600)
    access.operator_of_token(header)
    assert (ApiToken.objects.get().last_used_on - first).days == 1  # type: ignore[operator]


def test_who_is_no_operator_any_more_is_refused_with_his_token(db: None) -> None:
    olga = operator()
    header = f"Bearer {ApiToken.make(olga.pk, 'nightly')}"
    olga.groups.clear()
    assert access.operator_of_token(header) is None


# Stopping


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def test_a_stopped_operator_is_refused_at_once_in_every_browser_and_by_token(db: None) -> None:
    olga, otto = operator(), operator("otto")
    header = f"Bearer {ApiToken.make(olga.pk, 'nightly')}"
    browsers, other = [signed_in(olga), signed_in(olga)], signed_in(otto)
    access.stop(olga)
    assert [browser.get("/account/").status_code for browser in browsers] == [302, 302]
    assert access.operator_of_token(header) is None
    assert other.get("/account/").status_code == 200
    assert not signed_in_again(olga)


def signed_in_again(user: User) -> bool:
    return Client().login(request=request_of(), username=user.username, password="a long and quiet phrase")


def test_a_session_that_was_ended_does_not_come_back_when_he_is_let_in_again(db: None) -> None:
    olga = operator()
    browser = signed_in(olga)
    access.stop(olga)
    User.objects.filter(pk=olga.pk).update(is_active=True)
    assert browser.get("/account/").status_code == 302
    assert signed_in_again(olga)


def test_the_running_checks_of_a_stopped_operator_are_cancelled_and_nobody_elses(db: None) -> None:
    olga, otto = operator(), operator("otto")
    running, done = check_of(access.owner_of(olga)), check_of(access.owner_of(olga), State.DONE)
    others = check_of(access.owner_of(otto))
    access.stop(olga)
    states = {check.pk: check.detections.get().state for check in (running, done, others)}
    assert states == {running.pk: State.DONE, done.pk: State.DONE, others.pk: State.QUEUED}
    cancelled = Check.objects.exclude(cancelled_at=None)
    assert [check.pk for check in cancelled] == [running.pk]
    with pytest.raises(seal.Burned):
        seal.data_key(seal.KEYS, running.pk)
    assert seal.data_key(seal.KEYS, others.pk)
