"""Make result.png and table.png again, with a lab of its own: .venv/bin/python docs/images/make.py

Needs what `make test` installs, and Chromium.
"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testkey.settings")

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from probes.lab import recorded  # noqa: E402
from probes.management.commands.proof import Stand  # noqa: E402

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
WIDTH = 1280
BELOW = 28  # pixels that stand free under the path
DEMO = "A fine-grained Hugging Face key"


def keys() -> list[str]:
    """Keys of a dozen providers, each with another story to tell."""
    found: dict[str, str] = {}
    for record in recorded.read_all():
        if record.key != recorded.ANY_KEY and not record.base_url and len(record.key) > 30:
            found.setdefault(record.slug, record.key)
    asked = "openai anthropic huggingface openrouter groq google-gemini elevenlabs xai replicate vercel-ai-gateway"
    return [found[slug] for slug in asked.split() if slug in found]


def table(page: Page, url: str) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 1000})
    page.goto(url)
    page.fill("[name=keys]", "\n".join(keys()))
    page.click("form button:has-text('Check')")
    page.click("form button:has-text('Start')")
    page.get_by_role("status").filter(has_text="Done.").wait_for()
    bottom = page.evaluate("document.querySelector('.rows').getBoundingClientRect().bottom + scrollY")
    page.set_viewport_size({"width": WIDTH, "height": round(bottom) + BELOW})
    page.screenshot(path=HERE / "table.png")


def main() -> None:
    key = next(record.key for record in recorded.read_all() if record.demo == DEMO)
    with Stand() as stand, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000}, color_scheme="light")
        page.goto(stand.url)
        page.fill("[name=keys]", key)
        page.click("form button:has-text('Check')")
        page.wait_for_url("**/checks/*/")
        page.get_by_role("status").filter(has_text="Done.").wait_for()
        bottom = page.evaluate("document.querySelector('.path').getBoundingClientRect().bottom + scrollY")
        page.set_viewport_size({"width": WIDTH, "height": round(bottom) + BELOW})
        page.screenshot(path=HERE / "result.png")
        table(page, stand.url)
        browser.close()


if __name__ == "__main__":
    main()
