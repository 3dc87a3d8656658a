"""The sentences that people read, from the code into `locale/`, and the translators' work back into what gettext reads.

Babel does both, so that no gettext need be installed. Admin pages are English: their sentences are not collected.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils.translation.template import templatize

ROOT = Path(settings.BASE_DIR)
LOCALE = ROOT / "locale"
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
}
Message = str | tuple[str, ...]
ENGLISH_ALONE = ("probes/admin", "probes/models", "probes/management", "templates/admin")


class Command(BaseCommand):
    help = "Collect the sentences from code and templates into locale/*/LC_MESSAGES/django.po, and compile those."

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = collected()
        for folder in languages():
            file = folder / "LC_MESSAGES" / "django.po"
            file.parent.mkdir(parents=True, exist_ok=True)
            catalogue = read(file) if file.exists() else _new(folder.name)
            made_on = catalogue.creation_date
            catalogue.update(wanted, no_fuzzy_matching=True)
            catalogue.creation_date = made_on  # else every run would change every file
            catalogue.obsolete.clear()
            with file.open("wb") as out:
                write_po(out, catalogue, width=0, sort_output=True, include_lineno=False)
            file.with_suffix(".mo").write_bytes(compiled(read(file)))
            open_ = len(missing(read(file)))
            self.stdout.write(f"{folder.name}: {len(catalogue)} sentences, {open_ or 'none'} without a translation")


def _new(locale: str) -> Catalog:
    return Catalog(locale=locale, domain="django", project="TestKey", header_comment="# TestKey", fuzzy=False)


def languages() -> list[Path]:
    """A folder each: a language more is a folder more."""
    return sorted(path for path in LOCALE.iterdir() if path.is_dir())


def collected() -> Catalog:
    """Every sentence of the code and the templates."""
    catalogue = Catalog(domain="django", project="TestKey")
    for path in sorted([*ROOT.glob("probes/**/*.py"), *ROOT.glob("testkey/*.py"), *ROOT.glob("templates/**/*.html")]):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(ENGLISH_ALONE):
            continue
        source = path.read_text(encoding="utf-8")
        for message in _of_code(source) if path.suffix == ".py" else _of_template(source, name):
            formatted = re.search(r"%(?:\(\w+\))?[sd]", str(message))
            catalogue.add(message, locations=[(name, 0)], flags=["python-format"] if formatted else [])
    return catalogue


def _of_code(source: str) -> Iterator[Message]:
    """The literal arguments of gettext's functions. (Babel's own reader takes `_(row["label"])` for "label".)"""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if texts:
                yield (texts[0], texts[1]) if node.func.id.startswith("ngettext") else texts[0]


def _of_template(source: str, name: str) -> Iterator[Message]:
    code = "\n".join(line.lstrip() for line in templatize(source, origin=name).splitlines())
    for _line, message, _comments, _context in extract("python", BytesIO(code.encode()), keywords=KEYWORDS):
        yield message


def read(file: Path) -> Catalog:
    with file.open("rb") as source:
        return read_po(source, locale=file.parent.parent.name, domain="django")


def compiled(catalogue: Catalog) -> bytes:
    """The bytes of a .mo file. Raises nothing: what is missing or fuzzy is left out."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def missing(catalogue: Catalog) -> list[Any]:
    """The sentences that are not translated, or only perhaps."""

    def forms(message: Any) -> Any:
        return (message.string,) if isinstance(message.string, str) else message.string or ("",)

    return [m.id for m in catalogue if m.id and (m.fuzzy or not all(forms(m)))]
