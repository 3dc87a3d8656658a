"""Encrypting what must die: AES-256-GCM under a check's data keys, which live in the cache `keys` only.

Each check has two: one for the pasted keys, destroyed when the last probe has ended, and one for
the results, destroyed by the burn. Destroying a data key makes every copy of what was sealed under
it unreadable: in the database, its write-ahead log, dead rows and backups.
"""

from __future__ import annotations

import hmac
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.cache import caches

from probes.secret import Secret

NONCE = 12
KEYS, RESULTS = "keys", "results"


class Burned(Exception):
    """The data key is gone, and with it everything that was sealed under it."""


def _name(purpose: str, check_id: int) -> str:
    return f"{purpose}:{check_id}"


def make_data_keys(check_id: int) -> None:
    for purpose in (KEYS, RESULTS):
        key = AESGCM.generate_key(256)
        caches["keys"].set(_name(purpose, check_id), key, timeout=settings.CHECK_SECONDS)


def data_key(purpose: str, check_id: int) -> bytes:
    """Raises Burned if it has been destroyed, or its time is over."""
    key = caches["keys"].get(_name(purpose, check_id))
    if key is None:
        raise Burned
    return bytes(key)


def is_there(purpose: str, check_id: int) -> bool:
    return _name(purpose, check_id) in caches["keys"]


def destroy(purpose: str, check_id: int) -> None:
    caches["keys"].delete(_name(purpose, check_id))


def seal(key: bytes, plain: bytes, about: str) -> bytes:
    """about: what the ciphertext belongs to; it opens nowhere else."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def _open(key: bytes, sealed: bytes, about: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], about.encode())
    except (InvalidTag, ValueError):  # also what is too short to be sealed
        raise Burned from None


def seal_key(key: bytes, secret: Secret, check_id: int, line: int, column: int) -> bytes:
    return seal(key, secret.reveal().encode(), f"key:{check_id}:{line}:{column}")


def open_key(key: bytes, sealed: bytes, check_id: int, line: int, column: int) -> Secret:
    """Only `worker` calls this."""
    return Secret(_open(key, sealed, f"key:{check_id}:{line}:{column}").decode())


def fingerprint(word: str, secret: Secret) -> bytes:
    """Of a key, under a word that is not stored: says whether two are the same, and nothing else."""
    return hmac.digest(word.encode(), secret.reveal().encode(), "sha256")


def seal_token(key: bytes, token: str, check_id: int) -> bytes:
    return seal(key, token.encode(), f"token:{check_id}")


def open_token(key: bytes, sealed: bytes, check_id: int) -> str:
    return _open(key, sealed, f"token:{check_id}").decode()


def seal_row(key: bytes, row: dict[str, Any], detection_id: int) -> bytes:
    return seal(key, json.dumps(row).encode(), f"row:{detection_id}")


def open_row(key: bytes, sealed: bytes, detection_id: int) -> dict[str, Any]:
    return json.loads(_open(key, sealed, f"row:{detection_id}"))


def seal_finding(key: bytes, finding: dict[str, Any], detection_id: int) -> bytes:
    return seal(key, json.dumps(finding).encode(), f"finding:{detection_id}")


def open_finding(key: bytes, sealed: bytes, detection_id: int) -> dict[str, Any]:
    return json.loads(_open(key, sealed, f"finding:{detection_id}"))
