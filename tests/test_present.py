"""The pages of results: a table of many keys, what the script is told, one key, two side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from probes import present_table
from probes.lab.server import Server
from probes.models import Check, Detection, State, current
from tests.test_flow import FINE_GRAINED, NO_CREDIT, RESTRICTED, SHARED

pytestmark = pytest.mark.django_db
Submit = Callable[..., str]
KEYS = (FINE_GRAINED, NO_CREDIT, RESTRICTED)
REFUSED = [f"hf_TestKeyLabNobodys{n:017d}" for n in range(30)]
FOUND: dict[str, Any] = {
    **{"number": 1, "line": 1, "column": 0, "length": 40, "label": "A", "provider": "openai", "gateway": None},
    **{"base_url": "", "origin": "https://api.openai.com", "host": "api.openai.com", "identity": "proven"},
    **{"verdict": "active", "cause": None, "ability_to_pay": "yes", "requests": 2, "tokens_spent": 0, "other": None},
    **{"balance": ["12.50 USD"], "limits": [], "visible": 3, "covered": 1, "next": "set-route", "state": "done"},
}


@pytest.fixture
def submit(client: Client, queued: list[Callable[[], None]], lab: Server) -> Submit:
    """Paste keys, start what is clear, let the queue run; the address of the result."""

    def submit(keys: Sequence[str] = KEYS, start: bool = True, run: bool = True) -> str:
        address = str(client.post("/checks/", {"keys": "\n".join(keys)})["Location"])
        if start:
            client.post(f"{address}start/")
        while run and queued:
            queued.pop(0)()
        return address

    return submit


def rows(html: str) -> list[tuple[int, str, bool]]:
    """Of each row its number, its verdict, and whether it is hidden."""
    found = re.findall(r'<tr [^>]*data-number="(\d+)"[^>]*data-verdict="(\w+)"( hidden)?>', html)
    return [(int(number), verdict, bool(hidden)) for number, verdict, hidden in found]


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def page(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status
    return str(answer.content.decode())


def test_each_key_has_a_row_with_whose_it_is_its_verdict_and_what_to_do(client: Client, submit: Submit) -> None:
    html = page(client, submit())
    assert rows(html) == [(1, "restricted", False), (2, "no_credit", False), (3, "restricted", False)]
    assert "It is OpenAI ○ Works, no credit 0.00 USD" in words(html)
    assert "Top up" in html


def test_the_page_tells_how_many_keys_have_which_verdict(client: Client, submit: Submit) -> None:
    html = page(client, submit())
    tally = html.partition('id="tally"')[2].partition("</ul>")[0]
    shown = re.findall(r'<li data-standing="(\w+)">.*?<b>(\d+)</b>', tally)
    assert shown == [("restricted", "2"), ("no_credit", "1")]
    assert "Done. 3 of 3 keys work." in html


def test_a_result_says_how_many_requests_were_made_and_that_no_token_was_spent(client: Client, submit: Submit) -> None:
    assert re.search(r"\d+ requests, 0 tokens spent", words(page(client, submit())))
    assert re.search(r"\d+ requests, 0 tokens spent", words(page(client, submit([FINE_GRAINED]))))


def test_a_filter_hides_the_other_rows_and_counts_for_exports(client: Client, submit: Submit) -> None:
    address = submit()
    html = page(client, f"{address}?verdict=no_credit")
    assert [number for number, _verdict, hidden in rows(html) if not hidden] == [2]
    assert "1 of 3 shown" in words(html)
    assert "export/?format=csv&amp;verdict=no_credit" in html


def test_a_group_of_verdicts_filters_rows_and_exports_alike(client: Client, submit: Submit) -> None:
    address = submit([*KEYS, REFUSED[0]])
    html = page(client, f"{address}?verdict=refused")
    assert [number for number, _verdict, hidden in rows(html) if not hidden] == [4]
    exported = page(client, f"{address}export/?format=json&verdict=refused")
    assert '"invalid"' in exported
    assert '"no_credit"' not in exported


def test_a_provider_filters_rows_and_exports_alike(client: Client, submit: Submit) -> None:
    address = submit()
    html = page(client, f"{address}?provider=huggingface")
    assert [number for number, _verdict, hidden in rows(html) if not hidden] == [1]
    exported = page(client, f"{address}export/?format=json&provider=huggingface")
    assert '"huggingface"' in exported
    assert '"openai"' not in exported


@pytest.mark.parametrize(("sort", "order"), [("line", [1, 2, 3]), ("verdict", [1, 3, 2]), ("balance", [2, 1, 3])])
def test_rows_are_in_the_order_that_was_asked_for(client: Client, submit: Submit, sort: str, order: list[int]) -> None:
    html = page(client, f"{submit()}?sort={sort}")
    assert [number for number, _verdict, _hidden in rows(html)] == order
    assert html.count("aria-sort") == 1


def test_what_nobody_offers_to_filter_or_sort_by_is_no_fault(client: Client, submit: Submit) -> None:
    html = page(client, f"{submit()}?verdict=%3Cb%3E&provider=none&sort=up")
    assert all(hidden for _number, _verdict, hidden in rows(html))
    assert "<b>&" not in html


def test_the_number_of_queries_does_not_grow_with_the_keys(
    client: Client, submit: Submit, django_assert_max_num_queries: Any
) -> None:
    address = submit(REFUSED)
    with django_assert_max_num_queries(9):
        assert len(rows(page(client, address))) == 30


def test_nothing_stands_in_a_table_before_anything_is_started(client: Client, submit: Submit) -> None:
    html = page(client, submit(start=False))
    assert "3 keys found" in html
    assert "Nothing is sent before you start it." in html
    assert 'id="review"' in html
    assert rows(html) == []


def test_keys_that_wait_for_a_choice_stand_beside_those_that_are_done(client: Client, submit: Submit) -> None:
    html = page(client, submit([*KEYS, SHARED]))
    assert rows(html)[3] == (4, "waiting", False)
    assert "Which provider?" in html
    assert "1 key waits for your start" in html
    assert "Done. 3 of 3 keys work." in html


def test_a_single_key_that_waits_shows_the_form_that_starts_it(client: Client, submit: Submit) -> None:
    html = page(client, submit([SHARED], start=False))
    assert 'id="review"' in html
    assert "Verdict</p>" not in html


def test_lines_that_were_not_sent_are_told_and_many_are_folded(client: Client, submit: Submit) -> None:
    html = page(client, submit([*KEYS, *(f"no key {n}" for n in range(7))]))
    assert "Line 4: not sent" in html
    assert "2 more lines" in html


# While keys are probed


def test_the_script_is_told_what_ended_and_nothing_of_what_goes_on(client: Client, submit: Submit) -> None:
    address = submit(run=False)
    Detection.objects.filter(number=2).update(state=State.DONE)
    html = page(client, f"{address}live/")
    assert [number for number, _verdict, _hidden in rows(html)] == [2]
    assert 'data-running="yes"' in html
    assert "1 of 3" in html


def test_the_script_is_told_only_what_changed_since_it_last_asked(client: Client, submit: Submit) -> None:
    address = submit()
    answer = client.get(f"{address}live/")
    assert len(rows(answer.content.decode())) == 3
    later = float(answer["X-Seen-At"]) + 10
    assert rows(page(client, f"{address}live/?since={later}")) == []


def test_the_last_answer_to_the_script_tells_of_all_keys(client: Client, submit: Submit) -> None:
    address = submit()
    html = page(client, f"{address}live/?since={timezone.now().timestamp() + 10}")
    assert 'data-running="no"' in html
    assert "Done. 3 of 3 keys work." in html
    assert "0 tokens spent" in words(html)


@pytest.mark.parametrize("keys", [(FINE_GRAINED,), KEYS], ids=["one", "many"])
def test_the_script_goes_on_asking_until_the_keys_are_destroyed(
    client: Client, submit: Submit, keys: tuple[str, ...]
) -> None:
    address = submit(keys)
    Check.objects.update(key_destroyed_at=None)  # the moment between the last row and that
    html = page(client, f"{address}live/")
    assert 'data-running="ending"' in html
    assert "Keys destroyed" not in html
    Check.objects.update(key_destroyed_at=timezone.now())
    assert 'data-running="no"' in page(client, f"{address}live/")


def test_keys_that_wait_for_a_start_keep_nobody_asking(client: Client, submit: Submit) -> None:
    address = submit([*KEYS, SHARED])
    assert Check.objects.get().key_destroyed_at is None
    assert 'data-running="no"' in page(client, f"{address}live/")


@pytest.mark.parametrize("since", ["nan", "1e400", "-1e12", "today", ""])
def test_an_impossible_last_look_is_taken_for_none(client: Client, submit: Submit, since: str) -> None:
    assert len(rows(page(client, f"{submit()}live/?since={since}"))) == 3


def test_how_long_it_takes_is_told_from_how_fast_it_goes(client: Client, submit: Submit) -> None:
    submit(run=False)
    check = Check.objects.get()
    Detection.objects.filter(number=1).update(state=State.DONE)
    Detection.objects.update(queued_at=timezone.now() - timedelta(seconds=1.9))
    assert present_table.progress(check)["progress_text"] == "1 of 3, about 4 s left"


def test_how_long_it_takes_is_not_told_before_it_is_known(client: Client, submit: Submit) -> None:
    submit(run=False)
    assert present_table.progress(Check.objects.get())["progress_text"] == "0 of 3"


def test_a_cancelled_check_says_so_and_runs_no_more(client: Client, submit: Submit) -> None:
    address = submit(run=False)
    client.post(f"{address}cancel/")
    html = page(client, address)
    assert re.search(r"Cancelled at \d\d:\d\d:\d\d UTC", html)
    assert "cancelled before this key was asked about" in page(client, f"{address}keys/1/")
    assert "Provider did not answer" not in html
    assert 'data-running="no"' in html


# One key, and two


def test_a_row_leads_to_the_whole_result_of_its_key_and_back(client: Client, submit: Submit) -> None:
    address = submit()
    assert f'href="{address}keys/2/"' in page(client, address)
    html = page(client, f"{address}keys/2/")
    assert "The balance is used up." in html
    assert f'href="{address}#key-2"' in html


def test_a_key_that_opens_in_place_comes_without_a_page_round_it(client: Client, submit: Submit) -> None:
    answer = client.get(f"{submit()}keys/2/", headers={"X-Requested-With": "fetch"})
    html = answer.content.decode()
    assert html.strip().startswith("<section")
    assert 'id="key-2-title"' in html
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("chosen", ["a=1&b=2", "key=1&key=2"])
def test_two_keys_stand_side_by_side_with_what_differs_in_words(client: Client, submit: Submit, chosen: str) -> None:
    html = page(client, f"{submit()}compare/?{chosen}")
    assert re.search(r"They differ in \d+ of \d+ things", html)
    assert "≠ differs" in words(html)
    assert "It is Hugging Face Router" in html
    assert "It is OpenAI" in html


@pytest.mark.parametrize("chosen", ["", "key=1", "key=1&key=2&key=3", "a=1&b=1", "a=1&b=99", "key=x"])
def test_comparing_takes_two_keys(client: Client, submit: Submit, chosen: str) -> None:
    assert "go back and tick exactly two" in page(client, f"{submit()}compare/?{chosen}", 422)


@pytest.mark.parametrize("part", ["", "live/", "keys/1/", "compare/?a=1&b=2", "export/?format=csv"])
def test_a_stranger_sees_none_of_it(client: Client, submit: Submit, part: str) -> None:
    address = submit()
    assert "Burned, or not yours" in page(Client(), address + part, 404)


@pytest.mark.parametrize("part", ["", "keys/1/", "compare/?a=1&b=2"])
def test_each_page_of_a_result_has_the_clock_and_can_burn_it(client: Client, submit: Submit, part: str) -> None:
    html = page(client, submit() + part)
    assert re.search(r"<time datetime=\"PT\d+S\">[45]:\d\d</time>", html)
    assert "Burn now" in html


# Words of a row


def test_a_row_names_the_host_only_where_it_is_not_the_providers_own() -> None:
    relayed = FOUND | {"base_url": "https://relay.example/v1", "host": "relay.example"}
    assert present_table.row(FOUND, current())["host"] == ""
    assert present_table.row(relayed, current())["host"] == "relay.example"


def test_a_row_says_when_nobody_answered() -> None:
    silent = FOUND | {"verdict": "unknown", "cause": "timeout", "identity": "unproven"}
    assert present_table.row(silent, current())["word"] == "Provider did not answer"


def test_a_row_of_a_contradicted_claim_names_who_answers() -> None:
    contradicted = FOUND | {"identity": "contradicted", "other": "New API"}
    assert present_table.row(contradicted, current())["whose"] == "Claims OpenAI, answers as New API"


def test_what_a_provider_says_is_escaped_in_a_row() -> None:
    hostile = present_table.row(FOUND | {"balance": ["<script>1</script> USD"], "label": '"><img>'}, current())
    html = render_to_string("probes/_row.html", {"rows": [hostile], "base": "/checks/x/"})
    assert "<script>" not in html
    assert "<img>" not in html


def test_the_stretches_of_the_bar_fill_it() -> None:
    shown = [present_table.row(FOUND | {"verdict": v}, current()) for v in ("active", "active", "invalid", "unknown")]
    tally = present_table.tally(shown, {"verdict": "", "provider": "", "sort": ""})
    stretches = [(t["standing"], t["x"], t["width"]) for t in tally if t["some"]]
    assert stretches == [("active", "0.0", "498.0"), ("invalid", "500.0", "248.0"), ("unknown", "750.0", "248.0")]
