"""Make the pictures that a shared page is shown with, static/previews/, and the icon for a phone's first screen.

Needs what `make test` installs, Chromium, and Pillow: .venv/bin/pip install pillow, then
.venv/bin/python docs/images/previews.py
"""

import io
import shutil
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

STATIC = Path(__file__).resolve().parent.parent.parent / "static"
SIGN = (STATIC / "favicon.svg").read_text(encoding="utf-8")
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
COLOURS = 64  # of a picture: paper, ink, tones, and the edges of letters

LOOK = """
  * { box-sizing: border-box; margin: 0; }
  body { inline-size: 1200px; block-size: 630px; padding: 52px 72px 44px; display: flex; flex-direction: column;
    background: #fbfbf9; color: #1c1e1d; font: 26px/1.35 system-ui, "Noto Sans", sans-serif; }
  header, footer { display: flex; justify-content: space-between; align-items: center; }
  header { padding-block-end: 22px; border-block-end: 2px solid #d8d8d2; font-weight: 600; font-size: 30px; }
  header b { display: flex; gap: 16px; align-items: center; }
  header svg { inline-size: 44px; block-size: 44px; }
  small { font-size: 19px; font-weight: 400; color: #555a57; }
  header small { letter-spacing: 0.06em; }
  h1 { font-size: 62px; line-height: 1.15; margin-block-start: 34px; }
  h1 + p { font-size: 28px; color: #555a57; margin-block-start: 12px; }
  main { flex: 1; display: flex; flex-direction: column; justify-content: center; }
  code { font: 0.95em ui-monospace, "DejaVu Sans Mono", monospace; }
  .yes { color: #17693a; } .no { color: #a3241c; } .warn { color: #7a5200; } .soft { color: #555a57; }

  .rows { display: grid; grid-template-columns: auto auto 1fr; border-block-start: 2px solid #767b78; }
  .rows > div { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; gap: 64px; align-items: baseline;
    padding-block: 9px; border-block-end: 2px solid #d8d8d2; }
  .rows b { font-weight: 600; }

  .steps { display: grid; grid-auto-flow: column; grid-auto-columns: 1fr; }
  .steps > div { position: relative; padding-block-start: 52px; }
  .steps > div::before { content: ""; position: absolute; inset: 0 auto auto 0; inline-size: 30px; block-size: 30px;
    border: 4px solid; border-radius: 50%; background: #fbfbf9; z-index: 1; }
  .steps > .yes::before { background: currentcolor; }
  .steps > div:not(:last-child)::after { content: ""; position: absolute; inset: 13px 0 auto 0;
    border-block-start: 4px solid #d8d8d2; }
  .steps > .yes:not(:last-child)::after { border-color: currentcolor; }
  .steps b { display: block; color: #1c1e1d; }

  .bars { display: grid; grid-template-columns: max-content 1fr; gap: 12px 28px; align-items: center; }
  .bars i { display: block; block-size: 26px; background: #767b78; }
  .bars i:nth-of-type(1) { background: #17693a; }
  .pair { display: grid; grid-template-columns: 1fr max-content 1fr; gap: 12px 28px; align-items: center; }
  .pair i { display: block; block-size: 26px; background: #767b78; }
  .pair i:nth-child(3n + 1) { justify-self: end; background: #17693a; }
  .pair span { text-align: center; }

  .matrix { display: grid; grid-template-columns: repeat(10, 1fr); gap: 9px 0; text-align: center; }
  .codes { display: flex; justify-content: space-between; font: 600 54px ui-monospace, "DejaVu Sans Mono", monospace; }
  .codes span { border-block-start: 6px solid; padding-block-start: 10px; }
  .codes small { display: block; font: 400 21px system-ui, sans-serif; color: #555a57; }
"""
PAGE = """<!doctype html><meta charset="utf-8"><style>{look}</style>
<header><b>{sign} TestKey.ai</b><small>KEY CHECKER AND MODEL MARKET</small></header>
<h1>{title}</h1><p>{lead}</p><main>{drawing}</main>
<footer><small>Read-only check. Detection data burns after 5 minutes.</small></footer>"""

Words = tuple[str, ...]


def rows(*lines: Words) -> str:
    """Lines of a report: (as machines write it, as people say it, tone and verdict)."""
    return _block("rows", (f"<div><code>{code}</code><b>{name}</b>{toned(said)}</div>" for code, name, said in lines))


def steps(*each: Words) -> str:
    """A path: (tone, step, word below)."""
    return _block("steps", (f'<div class="{tone}"><b>{step}</b>{word}</div>' for tone, step, word in each))


def bars(*each: tuple[str, int]) -> str:
    """What is cheapest stands first, and is marked."""
    return _block("bars", (f'<span>{word}</span><i style="inline-size:{share}%"></i>' for word, share in each))


def pair(*each: tuple[int, str, int]) -> str:
    """Two sides, with bars that lead away from the word between them."""
    bar = '<i style="inline-size:{}%"></i>'
    return _block("pair", (bar.format(a) + f"<span>{word}</span>" + bar.format(b) for a, word, b in each))


def matrix(*lines: str) -> str:
    """A field of verdicts: + yes, ~ in part, - no, . unknown."""
    shapes = {"+": "yes ●", "~": "warn ◐", "-": "no ✕", ".": "soft ○"}
    return _block("matrix", (toned(shapes[sign]) for line in lines for sign in line))


def codes(*each: Words) -> str:
    """Status codes, large: (tone, code, word below)."""
    return _block("codes", (f'<span class="{tone}">{code}<small>{word}</small></span>' for tone, code, word in each))


def toned(text: str) -> str:
    tone, _, words = text.partition(" ")
    return f'<span class="{tone}">{words}</span>'


def _block(kind: str, parts: Iterable[str]) -> str:
    return f'<div class="{kind}">{"".join(parts)}</div>'


# Name: title, lead, drawing. Pages choose by name: a family's, or a core page's.
PICTURES = {
    "home": (
        "Whose key is this?",
        "And what can it do? Found out by free, read-only calls.",
        steps(
            ("yes", "identified", "yes"),
            ("yes", "inventory", "yes"),
            ("warn", "pricing", "in part"),
            ("soft", "routing", "not tested"),
            ("soft", "launch", "not tested"),
        ),
    ),
    "providers": (
        "Providers",
        "How a key is told, which calls are made, what each answer means.",
        rows(
            ("sk-ant-…", "Anthropic", "soft by its shape"),
            ("hf_…", "Hugging Face Router", "soft by its shape"),
            ("gsk_…", "Groq", "soft by its shape"),
            ("32 hex digits", "several", "warn ◐ a call tells"),
        ),
    ),
    "models": (
        "Models side by side",
        "Who sells a model, and at what price.",
        bars(("cheapest seller", 22), ("second", 31), ("third", 54), ("dearest", 100)),
    ),
    "errors": (
        "What does this error say?",
        "About the key, the account or the way there; and what to do.",
        codes(
            ("no", "401", "the key"),
            ("warn", "402", "the money"),
            ("warn", "403", "the right"),
            ("warn", "429", "the limit"),
            ("soft", "500", "the provider"),
            ("soft", "504", "the way there"),
        ),
    ),
    "capabilities": (
        "What a key can tell",
        "Ten capabilities, provider by provider.",
        matrix("+++~+.+~+-", "++~+..++.+", "+~+++-+.~+", "++..+++~+."),
    ),
    "promise": (
        "Where your key goes",
        "Only reading. Only to the provider. Then nothing is left.",
        steps(
            ("yes", "pasted", "by you"),
            ("yes", "sealed", "encrypted"),
            ("yes", "asked", "its provider alone"),
            ("soft", "key destroyed", "after its last call"),
            ("soft", "result burned", "at 5:00"),
        ),
    ),
    "api": (
        "For scripts: the API",
        "Submit keys, read the result, burn it.",
        rows(
            ("POST /api/checks/", "keys", "yes 201"),
            ("GET /api/checks/…/", "result", "yes 200"),
            ("DELETE /api/checks/…/", "burned", "yes 204"),
        ),
    ),
    "provider-key-probes": (
        "Provider key probes",
        "Which calls are made with a key, and how each answer is judged.",
        rows(
            ("200", "accepted by its own host", "yes ● works"),
            ("200", "some rights are missing", "warn ◐ works, limited"),
            ("401", "refused by its own host", "no ✕ invalid"),
            ("—", "no answer", "soft ○ not tested"),
        ),
    ),
    "model-key-routes": (
        "Model key routes",
        "Which keys reach a model, and what it costs at each seller.",
        rows(
            ("maker", "sells its own model", "yes ● its own price"),
            ("host", "runs the weights", "yes ● another price"),
            ("gateway", "passes calls on", "warn ◐ what its key may call"),
        ),
    ),
    "model-limit-probes": (
        "Model limit probes",
        "How much of a model a key may use, and where that is read.",
        rows(
            ("retry-after", "reset window", "soft read from headers"),
            ("x-ratelimit-limit-requests", "RPM limit", "soft read from headers"),
            ("x-ratelimit-limit-tokens", "TPM limit", "soft read from headers"),
            ("context_length", "context window", "soft known beforehand"),
        ),
    ),
    "model-capability-probes": (
        "Model capability probes",
        "What a model can do at each seller, and what only a call shows.",
        rows(
            ("tools", "tool calling", "yes ● listed"),
            ("stream", "streaming output", "soft ○ a call tells"),
            ("image_url", "vision", "no ✕ not listed"),
        ),
    ),
    "model-error-routes": (
        "Model error diagnosis",
        "A call of one model failed: key, request or model?",
        codes(
            ("warn", "429", "rate limited"),
            ("no", "400", "context exceeded"),
            ("no", "400", "capability unsupported"),
        ),
    ),
    "key-error-routes": (
        "Key error diagnosis",
        "What a provider answers, what that means, what to do.",
        codes(
            ("no", "401", "unauthorized"),
            ("warn", "402", "balance"),
            ("warn", "403", "permission"),
            ("warn", "429", "rate or quota"),
            ("soft", "5xx", "upstream"),
        ),
    ),
    "key-intelligence": (
        "Key intelligence",
        "What a key of this provider gives away, and what it never does.",
        rows(
            ("owner", "an answer says so", "yes ● confirmed"),
            ("rights", "an answer hints at it", "warn ◐ partially visible"),
            ("balance", "this key shows nothing of it", "soft ○ invisible"),
            ("contract", "no key could show it", "soft – not exposed"),
        ),
    ),
    "provider-compare": (
        "Providers compared",
        "Two side by side: coverage, probes, prices of shared models.",
        pair((85, "models", 50), (40, "free probes", 65), (60, "capabilities", 60), (30, "shared prices", 48)),
    ),
}


def small(picture: bytes) -> bytes:
    """The same with a palette."""
    packed = io.BytesIO()
    reduced = (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    reduced.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def main() -> None:
    (STATIC / "previews").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 630})
        for name, (title, lead, drawing) in PICTURES.items():
            page.set_content(PAGE.format(look=LOOK, sign=SIGN, title=title, lead=lead, drawing=drawing))
            (STATIC / "previews" / f"{name}.png").write_bytes(small(page.screenshot()))
        page.set_viewport_size({"width": 180, "height": 180})
        page.set_content(f"<style>body {{ margin: 0; background: #17693a }}</style>{SIGN}")  # the phone rounds it
        (STATIC / "apple-touch-icon.png").write_bytes(small(page.screenshot()))
        browser.close()


if __name__ == "__main__":
    main()
