"""An operator's account in a browser: in and out, the password, his checks, his tokens; and the admin's side of it."""

from __future__ import annotations

import datetime as dt
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from probes import access, store
from probes.models import ApiToken, Check, State, hash_token
from tests.conftest import Clock
from tests.test_access import check_of, operator, signed_in

PASSWORD = "a long and quiet phrase"
ANOTHER = "another phrase, as long"
LINK = re.compile(r"http://testserver(/account/reset/[^\s<]+)")

pytestmark = pytest.mark.django_db


def sign_in(client: Client, name: str = "olga", password: str = PASSWORD, **more: Any) -> Any:
    return client.post("/account/sign-in/", {"username": name, "password": password, **more.pop("fields", {})}, **more)


def session_of(client: Client) -> str:
    return client.cookies["sessionid"].value


def text_of(response: Any) -> str:
    return str(response.content.decode())


# In and out


def test_who_has_not_signed_in_is_sent_there_and_back_again(client: Client) -> None:
    operator()
    first = client.get("/account/")
    assert first["Location"] == "/account/sign-in/?next=/account/"
    assert 'name="next" value="/account/"' in text_of(client.get(first["Location"]))
    assert sign_in(client, fields={"next": "/account/"})["Location"] == "/account/"
    assert "olga" in text_of(client.get("/account/"))


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
        "\t//evil.example",
    ],
)
def test_signing_in_leads_to_no_other_site(client: Client, elsewhere: str) -> None:
    operator()
    assert sign_in(client, fields={"next": elsewhere})["Location"] == "/account/"


def test_a_wrong_password_is_422_and_echoes_nothing_of_it(client: Client) -> None:
    operator()
    response = sign_in(client, password="a wrong quiet phrase")
    assert response.status_code == 422
    assert "a wrong quiet phrase" not in text_of(response)


def test_the_stopped_the_unknown_and_the_wrong_look_alike(client: Client) -> None:
    access.stop(operator())
    operator("otto")
    pages = [sign_in(client, *who) for who in (("olga", PASSWORD), ("nobody", PASSWORD), ("otto", "wrong"))]
    assert {page.status_code for page in pages} == {422}
    alerts = {re.findall(r'role="alert">(.*?)</p>', text_of(page))[0] for page in pages}
    assert len(alerts) == 1


def test_the_sixth_wrong_password_is_429_also_from_addresses_that_turn(client: Client, settings: Any) -> None:
    settings.PROXIES = 1
    operator()
    statuses = [
        sign_in(client, password="wrong", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}, 203.0.113.9").status_code
        for n in range(25)
    ]
    assert statuses[:4] == [422] * 4
    assert set(statuses[5:]) == {429}
    locked = sign_in(client, HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert locked.status_code == 429
    assert "15 minutes" in text_of(locked)
    assert locked["Retry-After"] == "900"
    assert sign_in(client, HTTP_X_FORWARDED_FOR="203.0.113.10").status_code == 302


def test_a_session_is_another_one_after_the_sign_in_and_keeps_what_the_browser_owns(client: Client) -> None:
    operator()
    session = client.session
    session[access.OWNER] = "browser"
    session.save()
    before = session_of(client)
    sign_in(client)
    assert session_of(client) != before
    assert client.session[access.OWNER] == "browser"
    assert not Session.objects.filter(pk=before).exists()


def test_a_session_dies_with_signing_out(client: Client) -> None:
    operator()
    sign_in(client)
    old = session_of(client)
    assert client.get("/account/sign-out/").status_code == 405
    assert client.post("/account/sign-out/")["Location"] == "/"
    replay = Client()
    replay.cookies["sessionid"] = old
    assert replay.get("/account/").status_code == 302


def test_a_session_ends_twelve_hours_after_the_sign_in_whatever_was_done_since(client: Client, at: Clock) -> None:
    operator()
    sign_in(client)
    at(11 * 3600)
    session = client.session
    session["used"] = True
    session.save()
    at(12 * 3600 - 5)
    assert client.get("/account/").status_code == 200
    at(12 * 3600 + 5)
    assert client.get("/account/").status_code == 302


@pytest.mark.parametrize("path", ["sign-in/", "sign-out/", "password/", "reset/", "tokens/", "tokens/1/revoke/"])
@pytest.mark.parametrize("headers", [{}, {"HTTP_ORIGIN": "https://evil.example"}, {"HTTP_ORIGIN": "null"}])
def test_a_form_of_another_site_is_refused(path: str, headers: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator(), backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(f"/account/{path}", {"name": "n"}, **headers).status_code == 403  # type: ignore[arg-type]


# Every page


def test_no_page_of_an_account_is_kept_or_indexed(client: Client) -> None:
    anonymous = ["/account/sign-in/", "/account/reset/", "/account/reset/MQ/wrong/"]
    pages = [client.get(path) for path in anonymous]
    client.force_login(operator(), backend="django.contrib.auth.backends.ModelBackend")
    pages += [client.get("/account/"), client.get("/account/password/")]
    for page in pages:
        assert "no-store" in page["Cache-Control"]
        assert "noindex" in text_of(page)
        assert "unsafe" not in page["Content-Security-Policy"]
        assert "<script" not in text_of(page)


def test_the_header_leads_to_the_account_with_the_same_bytes_for_everyone(client: Client) -> None:
    public = "/providers/"
    before = client.get(public).content
    client.force_login(operator(), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(public).content == before
    assert b'href="/account/"' in before


# The password


def change(client: Client, old: str = PASSWORD, new: str = ANOTHER) -> Any:
    return client.post("/account/password/", {"old_password": old, "new_password1": new, "new_password2": new})


def test_a_new_password_ends_every_other_session_and_renews_this_one() -> None:
    olga = operator()
    here, there = signed_in(olga), signed_in(olga)
    old = session_of(here)
    assert change(here)["Location"] == "/account/"
    assert "signed out" in text_of(here.get("/account/"))
    assert there.get("/account/").status_code == 302
    assert session_of(here) != old
    replay = Client()
    replay.cookies["sessionid"] = old
    assert replay.get("/account/").status_code == 302


def test_a_weak_password_and_a_wrong_old_one_are_refused() -> None:
    client = signed_in(operator())
    assert change(client, new="short").status_code == 422
    assert change(client, new="password1234").status_code == 422
    assert change(client, old="wrong").status_code == 422


# A link


def take(client: Client, address: str, new: str = ANOTHER) -> Any:
    """Open a sign-in link as a browser does, and set the password. The answer to the last step that was reached."""
    path = address.removeprefix("http://testserver")
    opened = client.get(path)
    if opened.status_code != 302:
        return opened
    assert opened["Location"] == re.sub(r"[^/]+/$", "set-password/", path)
    return client.post(opened["Location"], {"new_password1": new, "new_password2": new})


def link_for(user: User) -> str:
    return access.sign_in_link(user, "http://testserver")


def test_a_link_sets_a_password_and_signs_in_once(client: Client) -> None:
    olga = operator()
    link = link_for(olga)
    assert take(client, link)["Location"] == "/account/"
    assert client.get("/account/").status_code == 200
    again = take(Client(), link)
    assert again.status_code == 404
    assert "works once" in text_of(again)
    assert sign_in(Client(), password=ANOTHER).status_code == 302


def test_a_link_that_was_opened_twice_is_used_once() -> None:
    link = link_for(operator())
    browsers = [Client(), Client()]
    pages = [browser.get(link.removeprefix("http://testserver"))["Location"] for browser in browsers]
    fields = {"new_password1": ANOTHER, "new_password2": ANOTHER}
    assert [b.post(p, fields).status_code for b, p in zip(browsers, pages, strict=True)] == [302, 404]


def test_a_link_lives_three_days(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    olga = operator()
    link = link_for(olga)
    now = dt.datetime.now()  # noqa: DTZ005 (Django's tokens count in local time)
    generator = "django.contrib.auth.tokens.PasswordResetTokenGenerator._now"
    monkeypatch.setattr(generator, lambda self: now + dt.timedelta(days=3, minutes=1))
    assert take(client, link).status_code == 404
    monkeypatch.setattr(generator, lambda self: now + dt.timedelta(days=2, hours=23))
    assert take(client, link).status_code == 302


def test_a_stopped_operators_link_opens_nothing(client: Client) -> None:
    olga = operator()
    link = link_for(olga)
    access.stop(olga)
    assert take(client, link).status_code == 404


@pytest.mark.parametrize("path", ["MQ/wrong/", "x/y/", "OTk5OTk5/cabcde-00/", "MQ/set-password/", "%00/%00/"])
def test_a_link_that_nobody_made_is_refused(client: Client, path: str) -> None:
    operator()
    assert client.get(f"/account/reset/{path}").status_code == 404


# By mail


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What was queued; a test runs it when it wants to."""
    waiting: list[Callable[[], None]] = []
    monkeypatch.setattr(access, "async_task", lambda task, *args, save: waiting.append(lambda: task(*args)))
    return waiting


@pytest.fixture
def with_mail(settings: Any) -> None:
    settings.MAIL = True


def ask(client: Client, address: str = "olga@example.com") -> Any:
    return client.post("/account/reset/", {"email": address})


def test_a_forgotten_password_is_mended_by_mail(client: Client, tasks: list[Any], with_mail: None) -> None:
    operator()
    assert ask(client, "OLGA@example.com").status_code == 200
    assert mail.outbox == []
    tasks.pop()()
    (sent,) = mail.outbox
    assert sent.to == ["olga@example.com"]
    assert take(client, LINK.findall(str(sent.body))[0])["Location"] == "/account/"


def test_whether_anyone_has_an_address_is_not_told(client: Client, tasks: list[Any], with_mail: None) -> None:
    access.stop(operator("otto"))
    operator()
    token = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"')
    addresses = ("olga@example.com", "otto@example.com", "nobody@example.com")
    answers = {token.sub("", text_of(ask(client, address))) for address in addresses}
    assert len(answers) == 1
    assert len(tasks) == 1


def test_asking_again_and_again_fills_nobodys_mailbox(
    client: Client, tasks: list[Any], with_mail: None, at: Clock
) -> None:
    operator()
    for _ in range(5):
        ask(client)
    assert len(tasks) == 1
    at(601)
    ask(client)
    assert len(tasks) == 2


def test_a_mail_that_cannot_be_sent_is_logged_without_address_or_link(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> None:
        raise ConnectionRefusedError("olga@example.com")

    monkeypatch.setattr(access, "send_mail", broken)
    access.mail_link(operator().pk, "http://testserver")
    assert "ConnectionRefusedError" in caplog.text
    assert "olga" not in caplog.text
    assert "/account/" not in caplog.text


def test_an_operator_who_was_stopped_meanwhile_gets_no_mail() -> None:
    olga = operator()
    access.stop(olga)
    access.mail_link(olga.pk, "http://testserver")
    assert mail.outbox == []


def test_without_mail_the_page_sends_to_an_admin_and_does_nothing(client: Client, tasks: list[Any]) -> None:
    operator()
    for page in (client.get("/account/reset/"), ask(client)):
        assert "Ask an admin" in text_of(page)
        assert "<form class" not in text_of(page)
    assert tasks == []


def settings_of(monkeypatch: pytest.MonkeyPatch, url: str, sender: str = "TestKey <testkey@site.example>") -> Any:
    monkeypatch.setenv("TESTKEY_MAIL_URL", url)
    monkeypatch.setenv("TESTKEY_MAIL_FROM", sender)
    return runpy.run_path(str(Path(__file__).parent.parent / "testkey" / "settings.py"))


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("smtp://olga:p%40ss%2F@mail.example:2525", ("mail.example", 2525, "olga", "p@ss/", True, False)),
        ("smtp://mail.example", ("mail.example", 587, "", "", True, False)),
        ("smtps://olga:secret@mail.example", ("mail.example", 465, "olga", "secret", False, True)),
        ("smtp://127.0.0.1:25", ("127.0.0.1", 25, "", "", False, False)),
    ],
)
def test_a_mail_server_is_one_address(monkeypatch: pytest.MonkeyPatch, url: str, found: Any) -> None:
    read = settings_of(monkeypatch, url)
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL")
    assert tuple(read[f"EMAIL_{name}"] for name in names) == found
    assert read["MAIL"]
    assert read["DEFAULT_FROM_EMAIL"] == "TestKey <testkey@site.example>"
    assert read["EMAIL_BACKEND"].endswith("smtp.EmailBackend")


@pytest.mark.parametrize(
    ("url", "sender"), [("http://u:s3cret@mail.example", "x"), ("u:s3cret@mail", "x"), ("smtp://u:s3cret@mail", "")]
)
def test_a_mail_server_that_cannot_be_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str, sender: str
) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings_of(monkeypatch, url, sender)
    assert "s3cret" not in str(refusal.value)


def test_without_a_mail_server_nothing_is_sent_or_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settings_of(monkeypatch, "")
    assert not read["MAIL"]
    assert read["EMAIL_BACKEND"].endswith("dummy.EmailBackend")


# My running checks


def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that a page can be searched for."""
    monkeypatch.setattr(store, "token_of", lambda check: f"token-of-{check.pk}")


def test_a_closed_tab_is_found_again_with_state_and_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch)
    olga = operator()
    check = check_of(access.owner_of(olga), State.QUEUED, 3)
    check.detections.filter(number=1).update(state=State.DONE)
    check_of(access.owner_of(olga), State.DONE)
    check_of(access.owner_of(olga), State.READY)
    page = text_of(signed_in(olga).get("/account/"))
    assert f'href="/checks/token-of-{check.pk}/"' in page
    assert "1 of 3 done" in page
    assert ">Done<" in page
    assert "Waits for your choice" in page
    assert re.search(r'datetime="PT29\dS">4:5\d<', page)


def test_a_check_from_before_the_sign_in_is_listed_in_its_browser_alone(client: Client, queued: Any) -> None:
    olga = operator()
    address = client.post("/checks/", {"keys": "hf_TestKeyLabFineGrained0000000000000"})["Location"]
    client.force_login(olga)
    assert f'href="{address}"' in text_of(client.get("/account/"))
    assert address not in text_of(signed_in(olga).get("/account/"))


def test_a_check_is_read_in_each_browser_of_its_operator_and_by_nobody_else(queued: Any) -> None:
    olga = operator()
    address = signed_in(olga).post("/checks/", {"keys": "hf_TestKeyLabFineGrained0000000000000"})["Location"]
    elsewhere = signed_in(olga)
    (link,) = re.findall(r'href="(/checks/[^"]+)"', text_of(elsewhere.get("/account/")))
    assert link == address
    assert elsewhere.get(link).status_code == 200
    for stranger in (signed_in(operator("otto")), signed_in(User.objects.create_superuser("boss")), Client()):
        foreign, wrong = stranger.get(link), stranger.get("/checks/no-such-token/")
        assert (foreign.status_code, wrong.status_code) == (404, 404)
        assert text_of(foreign) == text_of(wrong)
        assert link not in text_of(stranger.get("/account/"))
    access.stop(olga)
    assert elsewhere.get(link).status_code == 404


def test_the_form_counts_an_operators_keys_and_everyone_elses_checks(queued: Any, settings: Any) -> None:
    settings.ANONYMOUS_LIMIT, settings.OPERATOR_KEYS = 1, 2
    keys = [{"keys": f"hf_TestKeyLabFineGrained000000000000{n}"} for n in range(3)]
    for client in (signed_in(operator()), Client()):
        answers = [client.post("/checks/", fields) for fields in keys]
        assert answers[0].status_code == 303
        assert answers[2].status_code == 429
        assert 590 < int(answers[2]["Retry-After"]) <= 600


def test_nobody_elses_and_no_burned_check_is_among_them(monkeypatch: pytest.MonkeyPatch, at: Clock) -> None:
    named(monkeypatch)
    olga, otto = operator(), operator("otto")
    check_of(access.owner_of(otto))
    check_of("browser")
    burned = check_of(access.owner_of(olga))
    monkeypatch.setattr(store, "token_of", lambda check: None)  # as when its data key is gone
    page = text_of(signed_in(olga).get("/account/"))
    assert "/checks/token" not in page
    named(monkeypatch)
    at(301)
    assert f"token-of-{burned.pk}" not in text_of(signed_in(olga).get("/account/"))


def test_the_page_asks_as_little_for_many_checks_and_tokens_as_for_none(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    named(monkeypatch)
    olga = operator()
    for n in range(12):
        check_of(access.owner_of(olga), keys=3)
        ApiToken.make(olga.pk, f"t{n}")
    client = signed_in(olga)
    with django_assert_max_num_queries(9):
        client.get("/account/")


def test_the_quota_that_is_used_stands_on_the_page(at: Clock) -> None:
    olga = operator()
    access.admit(access.owner_of(olga), 312, operator=True)
    assert "312 of 2000 keys" in text_of(signed_in(olga).get("/account/"))
    at(601)
    assert "0 of 2000 keys" in text_of(signed_in(olga).get("/account/"))


def test_an_account_that_is_no_operators_has_neither_quota_nor_tokens() -> None:
    clerk = signed_in(User.objects.create_user("clerk", is_staff=True))
    page = text_of(clerk.get("/account/"))
    assert "not an operator" in page
    assert "API tokens" not in page
    assert clerk.post("/account/tokens/", {"name": "mine"}).status_code == 403
    assert not ApiToken.objects.exists()


# API tokens


def made(client: Client, name: str = "nightly") -> Any:
    return client.post("/account/tokens/", {"name": name})


def test_a_token_is_shown_once_and_works() -> None:
    olga = operator()
    client = signed_in(olga)
    answer = made(client)
    (token,) = set(re.findall(r"tk_[\w-]{43}", text_of(answer)))
    assert access.operator_of_token(f"Bearer {token}") == olga
    assert "no-store" in answer["Cache-Control"]
    later = text_of(client.get("/account/"))
    assert "<bdi>nightly</bdi>" in later
    assert token not in later


def test_a_token_is_in_no_session_message_or_log(caplog: pytest.LogCaptureFixture) -> None:
    client = signed_in(operator())
    answer = made(client)
    token = re.findall(r"tk_[\w-]{43}", text_of(answer))[0]
    kept = [str(session.get_decoded()) for session in Session.objects.all()] + [str(client.cookies), caplog.text]
    kept += [str(answer.headers), *(str(row) for row in ApiToken.objects.values())]
    assert not any(token in text for text in kept)
    assert ApiToken.objects.get().token_hash == hash_token(token)


def test_a_name_is_used_once_and_must_be_there() -> None:
    client = signed_in(operator())
    made(client)
    for name in ("nightly", "", " ", "x" * 61):
        answer = made(client, name)
        assert answer.status_code == 422
        assert "tk_" not in text_of(answer)
    assert ApiToken.objects.count() == 1


def test_nobody_elses_token_is_on_the_page_or_in_the_way_of_a_name() -> None:
    made(signed_in(operator()), "weekly")
    otto = signed_in(operator("otto"))
    assert "weekly" not in text_of(otto.get("/account/"))
    assert made(otto, "weekly").status_code == 200


def test_a_revoked_token_is_refused_and_only_its_owner_revokes_it() -> None:
    olga = operator()
    token = ApiToken.make(olga.pk, "nightly")
    address = f"/account/tokens/{ApiToken.objects.get().pk}/revoke/"
    assert signed_in(operator("otto")).post(address).status_code == 404
    client = signed_in(olga)
    assert client.get(address).status_code == 302
    assert access.operator_of_token(f"Bearer {token}") == olga
    assert client.post(address)["Location"] == "/account/"
    assert access.operator_of_token(f"Bearer {token}") is None


def test_a_reload_of_an_answered_form_leads_to_the_account() -> None:
    assert signed_in(operator()).get("/account/tokens/")["Location"] == "/account/"


def test_markup_in_a_name_is_text() -> None:
    client = signed_in(operator())
    made(client, "<script>alert(1)</script>")
    page = text_of(client.get("/account/"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_hostile_fields_change_nothing_else() -> None:
    olga = operator()
    fields = {"name": "n", "user": 999, "token_hash": "0" * 64, "is_staff": "1", "last_used_on": "1999-01-01"}
    signed_in(olga).post("/account/tokens/", fields)
    token = ApiToken.objects.get()
    assert (token.user_id, token.last_used_on) == (olga.pk, None)
    assert token.token_hash != "0" * 64


# The admin's side

LIST = "/admin/probes/operator/"


def staff(*names: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return signed_in(user)


@pytest.fixture
def clerk() -> Client:
    """Keeps operators, and may do nothing else."""
    return staff("view_operator", "add_operator", "change_operator")


def act(client: Client, action: str, *rows: User) -> Any:
    return client.post(LIST, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def invite(client: Client, name: str = "olga", address: str = "olga@example.com", **more: str) -> Any:
    return client.post(f"{LIST}add/", {"username": name, "email": address, **more})


def logged() -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def test_an_invited_operator_comes_in_by_the_link_and_is_no_staff(clerk: Client) -> None:
    assert "Invite operator" in text_of(clerk.get(LIST))
    answer = invite(clerk, is_staff="1", is_superuser="1", password="x")
    (link,) = LINK.findall(text_of(answer))
    olga = User.objects.get(username="olga")
    assert access.is_operator(olga)
    assert (olga.is_staff, olga.is_superuser, olga.has_usable_password()) == (False, False, False)
    assert "no-store" in answer["Cache-Control"]
    browser = Client()
    assert take(browser, link)["Location"] == "/account/"
    assert browser.get("/account/").status_code == 200
    assert take(Client(), link).status_code == 404
    assert logged() == ["Added."]


def test_a_link_is_not_shown_again(clerk: Client) -> None:
    invite(clerk)
    olga = User.objects.get(username="olga")
    pages = [clerk.get(LIST), clerk.get(f"{LIST}{olga.pk}/change/"), clerk.get(f"{LIST}{olga.pk}/history/")]
    assert not any(LINK.search(text_of(page)) for page in pages)
    assert not any("/account/reset/" in str(session.get_decoded()) for session in Session.objects.all())


def test_an_invitation_is_mailed_where_there_is_mail(clerk: Client, tasks: list[Any], with_mail: None) -> None:
    assert "by mail" in text_of(invite(clerk))
    tasks.pop()()
    assert take(Client(), LINK.findall(str(mail.outbox[0].body))[0])["Location"] == "/account/"


@pytest.mark.parametrize(("name", "address"), [("olga", "new@example.com"), ("new", "Olga@example.com"), ("new", "")])
def test_a_name_and_an_address_are_one_persons(clerk: Client, name: str, address: str) -> None:
    operator()
    answer = invite(clerk, name, address)
    assert answer.status_code == 200
    assert not LINK.search(text_of(answer))
    assert User.objects.filter(groups__name="operator").count() == 1


def test_a_new_link_voids_the_one_that_was_not_used(clerk: Client) -> None:
    (first,) = LINK.findall(text_of(invite(clerk)))
    (second,) = LINK.findall(text_of(act(clerk, "make_links", User.objects.get(username="olga"))))
    assert take(Client(), first).status_code == 404
    assert take(Client(), second).status_code == 302
    assert logged() == ["Added.", "Made a new sign-in link."]


def test_a_new_link_leaves_a_password_as_it_is_until_it_is_used(clerk: Client) -> None:
    olga = operator()
    assert LINK.search(text_of(act(clerk, "make_links", olga)))
    assert sign_in(Client()).status_code == 302


def test_operators_are_stopped_and_let_in_again(clerk: Client) -> None:
    olga = operator()
    browser = signed_in(olga)
    check = check_of(access.owner_of(olga))
    assert "1 operator stopped" in text_of(act(clerk, "stop", olga))
    assert browser.get("/account/").status_code == 302
    assert sign_in(browser).status_code == 422
    assert Check.objects.get(pk=check.pk).cancelled_at
    assert "let them in first" in text_of(act(clerk, "make_links", olga))
    assert "1 operator let in" in text_of(act(clerk, "let_in", olga))
    assert browser.get("/account/").status_code == 302
    assert sign_in(browser).status_code == 302
    assert logged() == ["Stopped.", "Let in again."]


def test_an_operator_is_not_switched_or_raised_through_his_form(clerk: Client) -> None:
    olga = operator()
    fields = {"username": "olga", "email": "new@example.com", "is_active": "", "is_staff": "1", "is_superuser": "1"}
    assert clerk.post(f"{LIST}{olga.pk}/change/", fields).status_code == 302
    olga.refresh_from_db()
    assert (olga.email, olga.is_active, olga.is_staff, olga.is_superuser) == ("new@example.com", True, False, False)


def test_nobody_makes_a_link_for_someone_who_may_do_more_than_he(clerk: Client) -> None:
    boss = User.objects.create_superuser("boss")
    helper = operator("helper")
    User.objects.filter(pk=helper.pk).update(is_staff=True)
    for row in (boss, helper):
        assert not LINK.search(text_of(act(clerk, "make_links", row)))
        act(clerk, "stop", row)
        assert clerk.get(f"{LIST}{row.pk}/change/").status_code == 302
    assert User.objects.filter(is_active=False).count() == 0
    assert LINK.search(text_of(act(signed_in(boss), "make_links", helper)))


def test_who_may_only_look_can_do_nothing() -> None:
    olga = operator()
    looker = staff("view_operator")
    assert looker.get(LIST).status_code == 200
    assert invite(looker, "new", "new@example.com").status_code == 403
    act(looker, "stop", olga)
    olga.refresh_from_db()
    assert olga.is_active


def test_operators_see_nothing_of_the_admin_and_are_not_deleted_there(clerk: Client) -> None:
    olga = operator()
    assert signed_in(olga).get("/admin/").status_code == 302
    assert clerk.get(f"{LIST}{olga.pk}/delete/").status_code == 403


def test_an_admin_sees_no_check_no_token_and_no_admission() -> None:
    boss = signed_in(User.objects.create_superuser("boss"))
    index = text_of(boss.get("/admin/"))
    assert not re.search(r"/admin/probes/(check|detection|finding|apitoken|admission)/", index)


def test_the_list_holds_operators_alone_and_the_stopped_too(clerk: Client) -> None:
    access.stop(operator())
    visitor = User.objects.create_user("visitor")
    page = text_of(clerk.get(LIST))
    assert "olga" in page
    assert "visitor" not in page
    assert not LINK.search(text_of(act(clerk, "make_links", visitor)))


def test_a_key_in_place_of_a_programs_name_is_neither_stored_nor_shown() -> None:
    key = "hf_" + "TestKeyFakeNeverIssued0123456789AB"
    answer = made(signed_in(operator()), key)
    assert answer.status_code == 422
    assert key[3:15] not in text_of(answer)
    assert not ApiToken.objects.exists()
