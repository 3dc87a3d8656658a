"""Probes against the real providers, with real keys from the environment: TESTKEY_LIVE_<SLUG>=key.

Skipped without one; never part of the gate. The slug is upper case with _ for -: TESTKEY_LIVE_GOOGLE_GEMINI.
"""

from __future__ import annotations

import os

import pytest
from django.utils import timezone

from probes import seed
from probes.client import Client
from probes.evidence import ACCEPTED
from probes.examination import Examination
from probes.secret import Secret

CATALOGUE = seed.read_catalogue()
KEYS = {
    slug: key
    for slug in CATALOGUE.providers
    if (key := os.environ.get(f"TESTKEY_LIVE_{slug.upper().replace('-', '_')}", ""))
}


@pytest.mark.skipif(not KEYS, reason="no TESTKEY_LIVE_<SLUG> in the environment")
@pytest.mark.parametrize("slug", KEYS)
def test_a_real_key_is_accepted_and_a_changed_one_is_not(slug: str) -> None:
    provider, client = CATALOGUE.providers[slug], Client()

    def accepted(secret: Secret) -> bool:
        examination = Examination(CATALOGUE, provider, "", timezone.now().date())
        found = []
        while asks := examination.next():
            for ask in asks:
                found += examination.answer(ask, client.send(ask.call, secret if ask.call.auth else None))
        return any(f["accepted"] and f["verdict"] in ACCEPTED for f in found)

    assert accepted(Secret(KEYS[slug]))
    assert not accepted(Secret(KEYS[slug][:-6] + "AAAAAA"))
