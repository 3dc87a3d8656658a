"""Take the picture of every kind of page, with a lab of its own: .venv/bin/python docs/screens/make.py [--all DIR]

Without `--all`, what is kept here: each kind at 1280 px in light and at 390 px in dark. With it, the whole matrix,
to be looked at elsewhere. Needs what `make test` installs, and Chromium; with Pillow the files become smaller.
"""

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402

django.setup()

from probes.management.commands.proof import Stand  # noqa: E402
from tests.pages import CHROMIUM, KINDS, address, results  # noqa: E402

HIGHEST = 2400
COLOURS = 128
Look = tuple[int, str, str]  # width, colour scheme or "forced", language
KEPT: list[Look] = [(1280, "light", "en"), (390, "dark", "en")]
ALL: list[Look] = [
    *((width, scheme, "en") for width in (390, 768, 1280, 1920) for scheme in ("light", "dark")),
    *((width, "light", "ar") for width in (390, 1280)),
    (1280, "forced", "en"),
]


def take(browser: Browser, url: str, look: Look, folder: Path) -> None:
    """A picture of each kind of page, looked at in this way."""
    width, scheme, language = look
    media: dict[str, Any] = {"forced_colors": "active"} if scheme == "forced" else {"color_scheme": scheme}
    context = browser.new_context(viewport={"width": width, "height": 900}, **media)
    page = context.new_page()
    kinds = {kind: url + address(path, language) for kind, path in KINDS.items()}
    for kind, place in (kinds | results(page, url, language)).items():
        page.set_viewport_size({"width": width, "height": 900})
        answered = page.goto(place)
        if kind not in ("burned", "missing") and not (answered and answered.ok):
            raise SystemExit(f"{kind}: {place} is not there")
        high = min(HIGHEST, page.evaluate("Math.max(document.documentElement.scrollHeight, innerHeight)"))
        name = "-".join([kind, str(width), scheme, *([language] if language != "en" else [])])
        page.set_viewport_size({"width": width, "height": high})  # what is sticky stands at its end
        file = folder / f"{name}.png"
        page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": high})
        shrink(file)
    context.close()


def shrink(file: Path) -> None:
    with suppress(ImportError):
        from PIL import Image

        Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIR", help="the whole matrix, into this folder")
    folder = parser.parse_args().all
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        for old in HERE.glob("*.png"):
            old.unlink()  # of kinds that are gone
    with Stand() as stand, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for look in ALL if folder else KEPT:
            take(browser, stand.url, look, folder or HERE)
        browser.close()


if __name__ == "__main__":
    main()
