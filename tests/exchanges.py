"""The recorded exchanges, as lab and tests read them."""

from __future__ import annotations

import json

from probes.exchange import Exchange
from probes.lab import recorded
from probes.secret import Secret


def as_exchange(record: recorded.Recorded) -> Exchange:
    answer = record.answer
    body = answer.get("body", "")
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    secret = None if record.key == "*" else Secret(record.key)
    return Exchange.of(record.call, secret, answer["status"], answer.get("headers", {}), raw, 1)
