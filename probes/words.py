"""What people read for what code says. Every sentence goes through gettext; the slugs are for code and JSON."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

Word = str | Promise

# Why a line was not sent. "Not sent, because " stands before it on the page.
FAULTS: dict[str, Word] = {
    "control": _("it holds a control character; copy the key again."),
    "url": _("it is an address, not a key. A gateway's address goes into the field “Base URL”."),
    "sentence": _("there are spaces inside; put one key on a line and nothing else."),
    "placeholder": _("it is a placeholder; put the real key in its place."),
    "masked": _("it is masked; copy the whole key from where it was made."),
    "non_ascii": _("it holds letters that no key has; copy the key again."),
    "too_short": _("it is shorter than 8 characters."),
    "too_long": _("it is longer than 4096 characters."),
    "private_key": _("it is a private key, not an API key; it should not be pasted anywhere."),
    "neighbour": _("it is a key for %(detail)s, not for an AI provider."),
    "refused_kind": _("it is %(detail)s."),
    "doubled": _("it is the same key twice in one; paste it once."),
    "several": _("it is more than one key; put each on a line of its own."),
    "checksum": _("its checksum does not fit: a character is wrong or missing."),
    "retired": "%(detail)s",
    "unread": _("so much stands before it that it was not read, nor what follows; paste the part with the keys."),
    "repeated": _("it is the same key as line %(detail)s."),
    "wrong_provider": _("it has the shape of a key of %(detail)s, not of the provider that you chose."),
}
LEFT_OUT: Word = _("you left it out.")
NOTICES: dict[str, Word] = {
    "invisible": _("Invisible characters that came with the copy were dropped."),
    "base_url_refused": _("It stood beside a base URL that cannot be asked from here."),
}
BASE_URL_FAULTS: dict[str, Word] = {
    "scheme": _("The base URL must begin with https://."),
    "user_info": _("The base URL may not hold a user name or a password."),
    "characters": _("The base URL may hold a host and a path of letters, digits and . _ ~ / - and nothing else."),
    "port": _("The base URL may not name a port; https alone is asked."),
    "host": _("The base URL's host is not a valid name."),
    "address": _("The base URL must name a host, not an address."),
    "dotless": _("The base URL's host needs a dot: a name that is known on the internet."),
    "special_name": _("The base URL's host is a name for private use; a host that is known on the internet is needed."),
    "own_name": _("The base URL is this site itself."),
    "path": _("The base URL's path may not hold “..”, “.” or “//”."),
    "holds_key": _("The base URL holds what looks like a key; give the address without it."),
    "other_provider": _("This base URL is %(detail)s's own; choose that provider, or none."),
}

# (word, shape, tone). Tones are the stylesheet's: yes, warn, no, unknown.
VERDICTS: dict[str, tuple[Word, str, str]] = {
    "active": (_("Accepted by %(host)s"), "●", "yes"),
    "restricted": (_("Works, limited permissions"), "◐", "warn"),
    "no_credit": (_("Works, no credit"), "○", "warn"),
    "rate_limited": (_("Works, over its limit now"), "◔", "warn"),
    "suspended": (_("Account suspended"), "■", "no"),
    "revoked": (_("Revoked or expired"), "✕", "no"),
    "leaked": (_("Reported as leaked"), "▲", "no"),
    "region_blocked": (_("Not answered from our region"), "◇", "unknown"),
    "invalid": (_("Refused by %(host)s"), "✕", "no"),
    "unknown": (_("Could not tell"), "?", "unknown"),
}
SILENT: Word = _("Provider did not answer")
# The same in a table, where the host has a column of its own.
SHORT_VERDICTS: dict[str, Word] = {slug: word for slug, (word, _shape, _tone) in VERDICTS.items()} | {
    "active": _("Accepted"),
    "invalid": _("Refused"),
}
# Keys without a verdict yet, beside those: as VERDICTS.
STANDINGS: dict[str, tuple[Word, str, str]] = {
    "running": (_("Running"), "…", "plain"),
    "waiting": (_("Not started"), "–", "plain"),
}
VERDICT_GROUPS: dict[str, Word] = {"accepted": _("All that work"), "refused": _("All refused")}

# What is announced of a check as a whole.
STATUS: dict[str, Word] = {
    "running": _("Checking. Findings appear as they arrive."),
    "waiting": _("Nothing is sent before you start it."),
    "left_out": _("You left out every key. Nothing was sent."),
    "done": _("Done."),
}

IDENTITIES: dict[str, tuple[Word, str]] = {
    "proven": (_("It is %(name)s"), "yes"),
    "consistent": (_("Fits %(name)s, not proved"), "unknown"),
    "contradicted": (_("Claims %(name)s, answers as %(other)s"), "no"),
    "unproven": (_("Not known whose"), "unknown"),
}
IDENTITY_EVIDENCE: dict[str, Word] = {
    "accepted": _("%(host)s accepted it in a call that only a good key passes (%(probe)s)."),
    "shape": _("Only %(provider)s's keys have this shape."),
    "chosen": _("You chose %(provider)s; the shape alone does not tell."),
    "refused": _("%(host)s refused it."),
    "not_proved": _("No answer has proved it."),
    "claim": _("Said to be %(claim)s."),
    "software": _("%(host)s shows itself as %(software)s: %(mark)s."),
    "sender": _("%(host)s answers as %(sender)s: %(mark)s."),
    "denial": _("%(host)s answers as %(provider)s never does: %(mark)s."),
    "no_mark": _("%(host)s shows neither what software it runs nor who answers behind it."),
    "hint_owner": _(
        "%(host)s says that %(owner)s owns models that are known from others alone (%(count)s): %(examples)s."
    ),
    "hint_one_owner": _(
        "%(host)s names %(owner)s as the owner of all its models (%(total)s); of others alone are known %(count)s: "
        "%(examples)s."
    ),
    "hint_other_owner": _("%(host)s names others as the owners of %(claim)s's models (%(count)s): %(examples)s."),
    "hint_unknown_model": _(
        "%(host)s lists models by %(claim)s's names of which we know nothing (%(count)s): %(examples)s."
    ),
    "hint_context": _("%(host)s gives models other context windows than are known (%(count)s): %(examples)s."),
    "hint_created": _(
        "%(host)s says that all its models (%(total)s) were made at one instant, on %(day)s, as a generated list does."
    ),
}

ANOTHER: Word = _("another sender")

# What stands in the way, by cause; an unknown cause is shown as the machine word alone.
CAUSES: dict[str, Word] = {
    "timeout": _("No whole answer came in time."),
    "dns": _("The host's name could not be found."),
    "tls": _("The host could not prove who it is."),
    "refused": _("The host could not be reached."),
    "reset": _("The connection broke off."),
    "too_large": _("The answer was larger than any answer of an API."),
    "not_json": _("The answer was no JSON, so no API's."),
    "redirected": _("The host sent us elsewhere; keys do not follow redirects."),
    "blocked": _("The host's address is private or reserved; nothing was sent."),
    "bad_http": _("The answer broke the rules of HTTP."),
    "unreachable": _("The host could not be reached, or is none that keys are sent to."),
    "interrupted": _("The probing was interrupted. Nothing is known of the key; check it again."),
    "cancelled": _("The check was cancelled before this key was asked about. Nothing is known of it."),
    "not_asked": _("The host asked us to wait for longer than a key may live here."),
    "unrecognised_answer": _("The answer fits nothing that is documented."),
    "provider_error": _("The provider has a fault of its own."),
    "overloaded": _("The provider is overloaded."),
    "other_region_silent": _("One region refused it, another gave no answer; a key is good in its own region only."),
    "key_form": _("Read from the key's own form, without any call."),
    "unprovable": _("No free call proves a key here."),
    "public_list": _("The list answers anyone, so it says nothing about the key."),
    "keyless": _("Asked without the key."),
    "invalid_api_key": _("The provider does not know this key."),
    "insufficient_quota": _("The account's quota is used up."),
    "insufficient_balance": _("The balance is too low."),
    "low_balance": _("The balance is nearly used up."),
    "no_balance": _("The balance is used up."),
    "billing_inactive": _("Billing is not active."),
    "account_deactivated": _("The account that owns the key has been closed."),
    "ip_not_allowed": _("The key works from certain addresses only, and ours is not among them."),
    "referrer_not_allowed": _("The key works from certain web sites only."),
    "app_not_allowed": _("The key works from certain apps only."),
    "service_disabled": _("The service is switched off in the key's project."),
    "unsupported_region": _("The provider does not serve our region; this says nothing about the key."),
    "expired": _("The key has expired."),
    "fine_grained": _("The key has the rights that it was given one by one, and no others."),
    "missing_scope": _("A permission is missing."),
    "rate_limit_exceeded": _("The key is over its rate limit."),
    "rate_limited_by_address": _("Our address was over the limit; this says nothing about the key."),
    "needs_admin_key": _("Only an admin key may read this."),
    "needs_management_key": _("Only a management key may read this."),
    "needs_browser_session": _("Only a signed-in browser may read this."),
    "credit_balance_too_low": _("The credit balance is too low."),
    "reported_as_leaked": _("The provider has found the key in public and blocked it."),
    "not_known_in_this_region": _("This region does not know the key; it may be good in one that was not asked."),
    "model_not_found": _("The key was accepted; the model that was asked for is not there."),
    "request_refused": _("The key was accepted; the request was not."),
    "product_not_activated": _("The account has not activated this product."),
    "detected_unusual_activity": _("The free tier is blocked for our address."),
    "network_rules": _("The account's own network rules keep us out; this says nothing about the key."),
    "security_policy": _("A policy keeps our address out; this says nothing about the key."),
    "blocked_by_user_agent": _("The provider does not serve programs like ours; this says nothing about the key."),
    "management_key": _("It manages other keys and calls no models."),
    "key_deleted": _("The key has been deleted."),
    "key_auth_disabled": _("Keys are switched off for this resource."),
    "no_card": _("The account has no card on file."),
    "no_credits_yet": _("The account has never had credit."),
    "arrears": _("The account is in arrears."),
    "account_overdue": _("The account is in arrears."),
    "payment_overdue": _("A payment is overdue."),
    "failed_payments": _("Payments have failed."),
    "plan_expired": _("The plan has expired."),
    "no_subscription": _("The account has no subscription."),
    "key_limit_reached": _("The key has reached the limit that its owner set."),
    "token_quota_used_up": _("The key has used up the quota that its owner gave it."),
    "budget_exceeded": _("The key's budget is used up."),
    "spending_limit_reached": _("The account has reached its spending limit."),
    "trial_key_limit": _("A trial key's limit is reached."),
    "prepayment_depleted": _("The prepaid credit is used up."),
    "unknown_key_or_missing_right": _("The answer is the same for an unknown key and for a missing right."),
    "refused_or_not_permitted": _("The answer is the same for an unknown key and for a missing right."),
    "list_proves_nothing": _("Whether this list needs a key is not known, so it proves nothing."),
    "account_token": _("It is a token of an account, which this call does not take."),
    "unknown_or_account_token": _("The answer is the same for an unknown token and for an account's token."),
    "authorization_hook": _("A rule of the account's own turned the call away."),
    "feature_not_allowed": _("The account may not use this feature."),
    "key_did_not_arrive": _(
        "The key did not arrive in the form that this call takes; this says nothing about the key."
    ),
    "no_coding_plan": _("The account has no coding plan."),
    "not_available_for_plan": _("The account's plan does not include this."),
    "request_not_allowed": _("The provider does not allow this request; this says nothing about the key."),
    "wrong_route": _("The key belongs to another product or address of this provider."),
    "guarded": _("The page is guarded; nothing is seen without a right to it."),
}

STEPS: dict[str, Word] = {
    "identified": _("identified"),
    "inventory": _("inventory"),
    "pricing": _("pricing"),
    "routing": _("routing"),
    "launch": _("launch"),
}
STEP_STATES: dict[str, Word] = {"yes": _("yes"), "no": _("no"), "not_tested": _("not tested")}
PATH_REASONS: dict[str, Word] = {
    "accepted_by_origin": _("The provider's own origin accepted the key."),
    "another_sender": _("Another sender answers than the one claimed."),
    "refused": _("The key was refused."),
    "not_proved": _("Whose key it is has not been proved."),
    "cannot_pay": _("The account cannot pay."),
    "pay_not_tested": _("Whether the account can pay was not tested."),
    "no_covered_models": _("We cover no models of this provider."),
    "models_not_seen": _("The key's own model list was not seen."),
    "models_visible": _("Covered models are visible to this key."),
    "covered_models_missing": _("None of the covered models is visible to this key."),
    "prices_known": _("Every visible covered model has a price."),
    "prices_missing": _("Some visible covered models have no price yet."),
    "answers_calls": _("The key is accepted now."),
    "not_callable_now": _("The key takes no calls now."),
    "permissions_limited": _("The key's permissions are limited."),
    "nothing_in_the_way": _("Nothing that was seen is in the way."),
    "after_identified": _("Waits for: identified."),
    "after_inventory": _("Waits for: inventory."),
    "after_pricing": _("Waits for: pricing."),
    "after_routing": _("Waits for: routing."),
}

# (label, reason). What there is to take along is made in `report`.
ACTIONS: dict[str, tuple[Word, Word]] = {
    "add-provider-config": (_("Add provider config"), _("so that the gateway knows this provider.")),
    "fill-pricing": (_("Fill pricing"), _("so that what the key can do can be sold.")),
    "import-inventory": (_("Import inventory"), _("so that the visible models can be offered.")),
    "set-route": (_("Set route"), _("so that calls reach the key.")),
    "add-monitoring": (_("Add monitoring"), _("so that a change is seen the same day.")),
    "human-review": (_("Send to human review"), _("since the evidence does not decide it.")),
    "top-up": (_("Top up"), _("since the key is good and the account is empty, or nearly so.")),
    "replace-key": (_("Replace the key"), _("since this one takes no calls any more.")),
    "add-permission": (_("Add permission"), _("since the key is good and lacks a right.")),
    "change-region": (_("Change region"), _("since the provider does not serve ours.")),
    "wait": (_("Wait, then check again"), _("since the answer will change by itself.")),
}

EVIDENCE_STATES: dict[str, Word] = {
    "confirmed": _("confirmed"),
    "partial": _("partially visible"),
    "invisible": _("this key may not see it"),
    "not_exposed": _("the provider does not tell"),
}
YES: Word = _("yes")
NO: Word = _("no")
ABILITY_TO_PAY: dict[str, Word] = {"yes": _("yes"), "no": _("no"), "not_tested": _("not tested")}


# For a provider's own machine word that has no sentence here: what its verdict means.
PLAIN_CAUSES: dict[str, Word] = {
    "restricted": _("The key works, and a right or a setting limits it."),
    "no_credit": _("The key is known, and the account cannot pay now."),
    "rate_limited": _("The key is over a limit now."),
    "suspended": _("The account is suspended."),
    "revoked": _("The key has been switched off."),
    "invalid": _("The provider does not know this key."),
}


def identity_evidence(slug: str, values: dict[str, Any]) -> str:
    """What an identity rests on, as a sentence. The marks of senders are the catalogue's words."""
    mark = {"mark": gettext(values["mark"])} if "mark" in values else {}
    return str(IDENTITY_EVIDENCE[slug]) % (values | mark)


def cause_text(cause: str | None, verdict: str = "") -> str:
    """A cause as a sentence; a cause with a detail ("missing_scope: api.model.read") keeps it."""
    if not cause:
        return ""
    word, _sep, detail = cause.partition(": ")
    sentence = str(CAUSES.get(word) or PLAIN_CAUSES.get(verdict, ""))
    if not (sentence and detail):
        return sentence
    return gettext("%(sentence)s: %(detail)s.") % {"sentence": unstopped(sentence), "detail": detail}


def unstopped(sentence: str) -> str:
    """Without its full stop, in any of our languages."""
    return sentence.rstrip(".。।")


def verdict_text(verdict: str, host: str, silent: bool) -> str:
    """silent: no whole answer came."""
    if verdict == "unknown" and silent:
        return str(SILENT)
    return str(VERDICTS[verdict][0]) % {"host": host}
