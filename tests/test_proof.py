"""The search finds what is there; and after a burn nothing is."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.management import call_command

from probes.management.commands.proof import PIECE, forms, search

TEXT = "sk-Planted+0123456789/abcdef"


@pytest.mark.parametrize(
    "trace",
    [
        TEXT,
        TEXT[3 : 3 + PIECE],
        TEXT.encode().hex(),
        TEXT.encode().hex().upper(),
        quote(TEXT, safe=""),
        *(base64.b64encode(b"lead"[:n] + TEXT.encode() + b"tail").decode() for n in range(4)),
        *(base64.urlsafe_b64encode(b"lead"[:n] + TEXT.encode() + b"tail").decode() for n in range(4)),
    ],
)
def test_every_form_is_found_between_other_bytes(tmp_path: Path, trace: str) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(b"\0before" + trace.encode() + b"after\0")
    (tmp_path / "other").write_bytes(b"nothing")
    found = search([tmp_path], forms(TEXT))
    assert found.files == 2
    assert found.traces
    assert all(place.startswith(f"{tmp_path}/below/file: ") for place in found.traces)
    assert TEXT not in "".join(found.traces)


def test_a_name_of_a_file_counts(tmp_path: Path) -> None:
    (tmp_path / TEXT.replace("/", "_")).write_bytes(b"")
    assert search([tmp_path], forms(TEXT)).traces


def test_less_than_a_piece_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(TEXT[: PIECE - 1])
    assert not search([tmp_path, tmp_path / "gone"], forms(TEXT)).traces


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError

    (tmp_path / "file").touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert search([tmp_path], forms(TEXT)).unreadable == [str(tmp_path / "file")]


def test_nothing_of_a_key_stays() -> None:
    out = io.StringIO()
    call_command("proof", stdout=out)
    assert out.getvalue().endswith("\n0 traces\n")
    assert "The key was sent to: huggingface.co." in out.getvalue()
