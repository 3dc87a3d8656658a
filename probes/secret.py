"""A string that refuses to be shown."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Holds a pasted key. Printing, pickling and JSON-encoding it fail or show nothing of it.

    `reveal()` gives the string; `tests/test_architecture.py` names the modules that may call it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
