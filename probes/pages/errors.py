"""The thirteen errors of a key, and which of them an answer means. Pure: one table for rules and for results."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from probes.pages.rules import Told, told
from probes.terms import Provider, Rule, Shared

Words = str | Promise
HIGH, MEDIUM = _("high"), _("medium")


@dataclass(frozen=True)
class Error:
    slug: str
    label: Words
    code: str
    severity: Words
    means: Words
    traps: tuple[Words, ...]  # what it does not mean
    moves: tuple[str, ...]  # slugs of MOVES, the first to make first
    asks: tuple[str, ...] = ()  # kinds of probes that decide it, besides those that prove the key

    @property
    def said_moves(self) -> list[Words]:
        return [MOVES[move] for move in self.moves]


MOVES: dict[str, Words] = {
    "refill": _("Refill the balance, or settle the bill, in the account that owns the key."),
    "base-url": _("Change the base URL: the key may belong to another region, product or host of the same provider."),
    "switch-model": _("Switch to a model that the key's own list shows."),
    "permission": _("Add the missing permission where the key was made."),
    "egress-ip": _("Call from an address that the key or the provider allows."),
    "hold": _("Hold the listing: sell nothing on this key until a check accepts it."),
    "monitor": _("Monitor it: check again at intervals, and compare the two results."),
}

ERRORS = (
    Error(
        "unauthorized",
        _("unauthorized"),
        "401",
        HIGH,
        _("The call was turned away before anything was read, and the answer does not name the reason."),
        (
            _("A 401 alone is not a dead key: a missing right, an expired plan or a wrong product can be told by it."),
            _("A 401 from another host says nothing: a good key is refused by hosts that it was not made for."),
        ),
        ("base-url", "permission", "hold"),
    ),
    Error(
        "invalid-api-key",
        _("invalid API key"),
        "401",
        HIGH,
        _("The provider looked for this key and does not have it, or no longer takes it."),
        (
            _("It does not say that the key was never good: keys that were deleted, expired or revoked can answer so."),
            _("It is not a question of money. An empty account is told in other words."),
        ),
        ("base-url", "hold"),
    ),
    Error(
        "token-format-error",
        _("token format error"),
        "400/401",
        MEDIUM,
        _("What arrived is not in the form that this call takes: another kind of token, or no key where one belongs."),
        (_("It is no verdict on the key: in its own form, at its own host, the same key may be good."),),
        ("base-url", "hold"),
    ),
    Error(
        "signature-invalid",
        _("signature invalid"),
        "401",
        MEDIUM,
        _("The call was signed, and the signature does not fit what was sent."),
        (_("The key's name may be right: a wrong secret or a wrong clock spoils a signature as well."),),
        ("hold", "monitor"),
    ),
    Error(
        "access-forbidden",
        _("access forbidden"),
        "403",
        HIGH,
        _("The provider has understood who asks, and does not let this caller or this account in."),
        (
            _("A 403 that names the caller's address or country is about the place, not about the key."),
            _("A blocked account is not a wrong key: no new key of the same account will pass either."),
        ),
        ("egress-ip", "permission", "hold"),
    ),
    Error(
        "permission-denied-model",
        _("model permission denied"),
        "403",
        HIGH,
        _("The key is known, and it lacks the right to this model or this call."),
        (
            _("It is not a refusal of the key: only a key that was recognised can lack a right."),
            _("One refused model is not all of them. What the key may call stands in its own list."),
        ),
        ("permission", "switch-model"),
        ("models", "scopes"),
    ),
    Error(
        "insufficient-balance",
        _("insufficient balance"),
        "402",
        HIGH,
        _("The key is good and the account behind it has no money left for the call."),
        (
            _("A model list that still answers is no sign of money: many providers show it to empty accounts."),
            _("A new key of the same account changes nothing."),
        ),
        ("refill", "hold", "monitor"),
        ("balance_snapshot", "credit_check", "cost_report"),
    ),
    Error(
        "billing-disabled",
        _("billing disabled"),
        "402/403",
        HIGH,
        _("The account may not spend: no card, an unpaid bill, a plan that has ended, or billing never begun."),
        (
            _("It can come with credit on the account: what is missing is the permission to use it."),
            _("Waiting does not help. Somebody who owns the account has to act."),
        ),
        ("refill", "hold"),
        ("balance_snapshot", "credit_check"),
    ),
    Error(
        "quota-exceeded",
        _("quota exceeded"),
        "429",
        HIGH,
        _("An allowance is used up: the account's, the plan's, or the limit that the key's owner set."),
        (
            _("It is not a rate limit, although it often bears the same status: in a minute the answer is the same."),
            _("The account may still have money: a limit of one key ends before the balance does."),
        ),
        ("refill", "monitor", "hold"),
        ("balance_snapshot", "credit_check"),
    ),
    Error(
        "rate-limited",
        _("rate limited"),
        "429",
        HIGH,
        _("Too many calls or tokens in a short time. The key is known, or they could not have been counted."),
        (
            _("A 429 is not always a rate limit: some providers tell an empty account by the same status."),
            _("A limit that is counted by address says nothing about the key."),
        ),
        ("monitor", "switch-model", "egress-ip"),
        ("limits",),
    ),
    Error(
        "timeout",
        _("timeout"),
        "408/504",
        MEDIUM,
        _("No whole answer came in time."),
        (_("Nothing was said about the key, neither good nor bad."),),
        ("monitor", "base-url"),
    ),
    Error(
        "upstream-5xx",
        _("upstream 5xx"),
        "500/502",
        MEDIUM,
        _("The provider has a fault of its own, or more to do than it can."),
        (
            _("Nothing was said about the key: the same call may pass a minute later."),
            _("Some providers tell their own faults with another status than 5xx."),
        ),
        ("monitor", "switch-model"),
    ),
    Error(
        "streaming-failed",
        _("streaming failed"),
        "400/502",
        MEDIUM,
        _("Streaming began and broke off, or never began."),
        (_("The same call without streaming may pass: it is no verdict on the key."),),
        ("switch-model", "monitor"),
    ),
)
BY_SLUG = {error.slug: error for error in ERRORS}

_FORM = "wrong_route key_did_not_arrive"
_VAGUE = "not_known_in_this_region unknown_key_or_missing_right refused_or_not_permitted"
_PLACE = (
    "ip_not_allowed referrer_not_allowed app_not_allowed client_not_allowed service_disabled network_rules "
    "security_policy blocked_by_user_agent telegram_required product_not_activated not_available_for_plan "
    "feature_not_allowed needs_browser_session needs_admin_key needs_management_key management_key account_token"
)
_BILLING = (
    "billing_inactive billing_not_active no_card failed_payments payment_overdue account_overdue arrears plan_expired "
    "no_subscription no_credits_yet membership_unavailable invalid_subscription"
)
_QUOTA = (
    "insufficient_quota quota_exceeded key_limit_reached spending_limit_reached token_quota_used_up budget_exceeded "
    "usage_limit_reached plan_used_up plan_limit_reached paygo_limit_reached trial_key_limit"
)
_BY_CAUSE = {
    cause: slug
    for slug, causes in {
        "token-format-error": _FORM,
        "unauthorized": _VAGUE,
        "access-forbidden": _PLACE,
        "permission-denied-model": "model_not_found missing_scope",
        "billing-disabled": _BILLING,
        "quota-exceeded": _QUOTA,
        "rate-limited": "rate_limited_by_address",
        "timeout": "timeout",
        "upstream-5xx": "provider_error overloaded",
    }.items()
    for cause in causes.split()
}
_BY_VERDICT = {
    "invalid": "invalid-api-key",
    "revoked": "invalid-api-key",
    "leaked": "invalid-api-key",
    "suspended": "access-forbidden",
    "region_blocked": "access-forbidden",
    "restricted": "permission-denied-model",
    "no_credit": "insufficient-balance",
    "rate_limited": "rate-limited",
}
_BY_STATUS = {
    401: "unauthorized",
    402: "insufficient-balance",
    403: "access-forbidden",
    408: "timeout",
    429: "rate-limited",
    504: "timeout",
}
_NO_ERROR = ("keyless", "public_list", "list_proves_nothing", "request_refused", "fine_grained")


def error_page(verdict: str, cause: str | None, status: int | None) -> str:
    """The error that a result means, as a slug; "" where it means none. The cause tells most, the status least."""
    word = (cause or "").partition(": ")[0]
    if word in _NO_ERROR:
        return ""
    if found := _BY_CAUSE.get(word) or _BY_VERDICT.get(verdict):
        return found
    if verdict != "unknown" or status is None:
        return ""
    return _BY_STATUS.get(status) or ("upstream-5xx" if status >= 500 else "")


def meant(rule: Rule) -> str:
    """The error that a rule means, or ""."""
    return error_page(rule.verdict, rule.cause, rule.status[0] if rule.status else None)


def by_error(shared: Shared, provider: Provider) -> dict[str, list[Told]]:
    """A provider's rules by the error that they mean, in the order of the thirteen; none is empty."""
    found: dict[str, list[Told]] = {error.slug: [] for error in ERRORS}
    for each in told(shared, provider):
        if slug := meant(each.rule):
            found[slug].append(each)
    return {slug: rules for slug, rules in found.items() if rules}


def pages_of(provider: Provider, shared: Shared) -> list[str]:
    """The errors of which this provider's rules say something: those that have a page."""
    return list(by_error(shared, provider))


def error_address(provider: str, error: str) -> str:
    return f"/key-error-routes/{provider}-{error}/"
