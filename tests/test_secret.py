"""A secret shows nothing of itself, however one asks."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.template import Context, Template

from probes.secret import Secret

TEXT = "sk-TestKeyFake-0123456789abcdef"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        lambda s: f"{s}",
        lambda s: f"{s!r}",
        lambda s: "%s %r" % (s, s),  # noqa: UP031
        lambda s: "{}".format(s),  # noqa: UP032
        lambda s: str([s, {"key": s}]),
        lambda s: Template("{{ secret }}{{ secret|pprint }}").render(Context({"secret": s})),
        lambda s: repr(ValueError(s)),
    ],
)
def test_it_prints_as_a_mark_and_nothing_else(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(TEXT))
    assert "Secret(" in shown
    assert TEXT[:6] not in shown


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        json.dumps,
        lambda s: json.dumps(s, cls=DjangoJSONEncoder),
        copy.copy,
        copy.deepcopy,
        lambda s: f"{s:>40}",
        list,
        vars,
        lambda s: s[0],
        lambda s: s + "",
        lambda s: s < s,
    ],
)
def test_it_is_not_carried_off(take: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        take(Secret(TEXT))
    assert TEXT not in str(caught.value)


def test_it_equals_a_secret_of_the_same_text_and_no_text() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret(TEXT + "x")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT)}) == 1
    assert len(Secret(TEXT)) == len(TEXT)


def test_a_traceback_with_its_locals_and_a_log_line_show_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fails(secret: Secret) -> None:
        logging.getLogger("testkey").warning("holding %s", secret)
        raise RuntimeError(secret)

    with pytest.raises(RuntimeError) as caught:
        fails(Secret(TEXT))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "Secret(…)" in shown
    assert TEXT not in shown.replace(f"TEXT = {TEXT!r}", "") + caplog.text


def test_only_reveal_gives_it() -> None:
    assert Secret(TEXT).reveal() == TEXT
