"""Every recorded answer is judged as its file says it must be."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from probes import evidence, seed
from probes.lab import recorded
from tests.exchanges import as_exchange

CATALOGUE = seed.read_catalogue()
SENDERS: dict[str, seed.Sender] = {**CATALOGUE.providers, **CATALOGUE.gateways}
RECORDS = recorded.read_all()


def probe_of(record: recorded.Recorded) -> seed.Probe:
    return next(p for p in SENDERS[record.slug].probes if p.name == record.probe)


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: f"{r.slug}/{r.file}")
def test_recorded_answer_is_judged_as_recorded(record: recorded.Recorded) -> None:
    sender, probe, expected = SENDERS[record.slug], probe_of(record), record.conclude
    finding = evidence.read(CATALOGUE, sender, probe, as_exchange(record))
    assert finding["verdict"] == expected["verdict"]
    assert finding["cause"] == expected.get("cause")
    told = {e["metric"]: e for e in finding["evidence"]}
    for metric, value in expected.get("evidence", {}).items():
        assert told[metric]["value"] == value, metric
    for metric, state in expected.get("states", {}).items():
        assert told[metric]["state"] == state, metric
    if "models" in expected:
        assert len(finding["models"] or []) == expected["models"]
    if "pays" in expected:
        assert finding["pays"] is expected["pays"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: f"{r.slug}/{r.file}")
def test_recorded_call_is_the_call_that_the_probe_makes(record: recorded.Recorded) -> None:
    probe = probe_of(record)
    method, _, url = record.call.partition(" ")
    assert method == probe.method
    pattern = re.sub(r"\\\{\w+\\\}", r"(?:\\{\\w+\\}|[^/?&]+)", re.escape(probe.path))
    assert re.search(pattern + "$", url), f"{url} does not end with {probe.path}"
    sender = SENDERS[record.slug]
    if isinstance(sender, seed.Provider):
        origins = [sender.origin(probe, region) for region in sender.regions or ("",)]
        assert sender.owns(url) or any(url.startswith(origin + "/") for origin in origins)
    assert urlsplit(url).scheme == "https"


@pytest.mark.parametrize("slug", SENDERS)
def test_every_probe_has_a_recorded_yes_and_a_recorded_no(slug: str) -> None:
    for probe in SENDERS[slug].probes:
        verdicts = [
            (r.conclude["verdict"], r.conclude.get("cause")) for r in RECORDS if (r.slug, r.probe) == (slug, probe.name)
        ]
        good = [v for v, cause in verdicts if v in evidence.ACCEPTED or cause in ("public_list", "keyless")]
        assert good, f"{slug} {probe.name}: no recorded yes"
        assert len(good) < len(verdicts), f"{slug} {probe.name}: no recorded no"


def test_recorded_keys_are_made_up_and_say_so() -> None:
    for record in RECORDS:
        if record.key != recorded.ANY_KEY:
            assert re.search(r"LAB|FAKE|TestKey|1abfa4e|deadbeef", record.key, re.I), f"{record.slug}/{record.file}"


def test_recorded_keys_have_the_shape_of_their_provider() -> None:
    for record in RECORDS:
        provider = CATALOGUE.providers.get(record.slug)
        if provider and record.key != recorded.ANY_KEY:
            assert any(re.fullmatch(s.pattern, record.key) for s in provider.key_shapes), f"{record.slug}/{record.file}"
