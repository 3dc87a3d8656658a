"""What judges pages: axe-core, html-validate, and what a browser tells of weight, shift, focus and room.

Which pages there are is said here too, for the tests and for `docs/screens/make.py`.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings
from playwright.sync_api import BrowserContext, Page

from tests.test_flow import FINE_GRAINED, NO_CREDIT, RESTRICTED, SHARED

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
VALIDATOR = ROOT / "node_modules" / "html-validate" / "bin" / "html-validate.mjs"
NODE = shutil.which("node") if AXE.exists() and VALIDATOR.exists() else None

# Chromium without windows is the same engine, and does with half the CPU.
BROWSERS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)

# A page of each kind that has an address of its own. What is added here is judged, and has its picture taken.
KINDS = {
    "home": "/",
    "providers": "/providers/",
    "models": "/models/",
    "errors": "/errors/",
    "capabilities": "/capabilities/",
    "promise": "/promise/",
    "api": "/api/",
    "model": "/models/gpt-oss-120b/",
    "provider-key-probes": "/provider-key-probes/openai-onboarding-readiness/",
    "key-error-routes": "/key-error-routes/openai-invalid-api-key/",
    "key-intelligence": "/key-intelligence/openai-balance-and-quota/",
    "provider-compare": "/provider-compare/groq-vs-novita/",
    "model-key-routes": "/model-key-routes/gpt-oss-120b-pricing-context/",
    "model-limit-probes": "/model-limit-probes/gpt-oss-120b-context-window/",
    "model-capability-probes": "/model-capability-probes/gpt-oss-120b-tool-calling/",
    "model-error-routes": "/model-error-routes/gpt-oss-120b-context-exceeded/",
    "sign-in": "/account/sign-in/",
    "burned": "/checks/nothing/",
    "missing": "/nothing/",
}
FEW = [FINE_GRAINED, NO_CREDIT, RESTRICTED, SHARED]


def address(path: str, language: str) -> str:
    """A page's path in a language."""
    return path if language == settings.LANGUAGE_CODE else f"/{language}{path}"


def results(page: Page, url: str, language: str) -> dict[str, str]:
    """Has keys checked, and gives the address of each kind of result page, by name. They live for five minutes."""
    review = _submit(page, url + address("/", language), FEW)
    one = _submit(page, url + address("/", language), [FINE_GRAINED])
    many = _submit(page, url + address("/", language), FEW[:3])
    page.locator("#review button").last.click()
    for result in (one, many):
        page.goto(result)
        page.locator("#progress[data-running=no]").wait_for(state="attached")
    return {
        "review": review,
        "result": one,
        "results": many,
        "result-key": f"{many}keys/2/",
        "compare": f"{many}compare/?a=1&b=2",
    }


def _submit(page: Page, form: str, keys: list[str]) -> str:
    page.goto(form)
    page.fill("[name=keys]", "\n".join(keys))
    page.locator("#paste button").last.click()
    page.wait_for_url(re.compile("/checks/[^/]+/$"))
    return page.url


# Accessible and valid

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def axe(page: Page, *rules: str, without: str = "") -> list[str]:
    """What axe-core finds wrong in the page as it stands now, one line each; only by these rules if any are named."""
    if not page.evaluate("'axe' in window"):
        # Not by `page.evaluate`: it takes twice as long over half a megabyte. No page's policy forbids either.
        session = page.context.new_cdp_session(page)
        session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    options = {
        "runOnly": {"type": "rule", "values": rules} if rules else {"type": "tag", "values": WCAG},
        "rules": {without: {"enabled": False}} if without else {},
        "resultTypes": ["violations"],
        "preload": False,
    }
    found = page.evaluate("options => axe.run(options)", options)
    return [
        f"{fault['id']} ({fault['impact']}): {fault['help']}: {node['html'][:200]} {node['failureSummary']!r}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


def valid(html_by_name: Mapping[str, str]) -> list[str]:
    """What html-validate finds wrong in the documents, one line each; one process for all of them."""
    with tempfile.TemporaryDirectory(prefix="testkey-html-") as folder:
        names = {}
        for number, (name, html) in enumerate(html_by_name.items()):
            file = Path(folder, f"{number}.html")
            file.write_text(html, encoding="utf-8")
            names[str(file)] = name
        config = str(ROOT / ".htmlvalidate.mjs")
        told = Path(folder, "told.json")  # through a pipe it loses what is beyond 64 KiB
        command = [NODE or "node", str(VALIDATOR), "--config", config, "--formatter", f"json={told}", *names]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        if not told.exists():
            raise RuntimeError(f"html-validate broke: {done.stderr}")
        documents = json.loads(told.read_text(encoding="utf-8"))
    return [
        f"{names[document['filePath']]}:{fault['line']}:{fault['column']}: {fault['message']} ({fault['ruleId']})"
        for document in documents
        for fault in document["messages"]
    ]


# Light and still


def weight(page: Page, sizes: dict[str, int]) -> int:
    """Bytes of the page and all that it loads, icon included, compressed. `sizes` remembers what was weighed before."""
    loaded = page.evaluate("""() => [
        location.href,
        ...performance.getEntriesByType("resource").map((entry) => entry.name),
        ...[...document.querySelectorAll("link[rel~=icon]")].map((link) => link.href),
    ]""")
    for each in set(loaded):
        if each not in sizes and each.startswith("http"):
            sizes[each] = len(gzip.compress(page.request.get(each).body(), 6))
    return sum(sizes.get(each, 0) for each in set(loaded))


MOVED = """(() => {
    window.moved = 0;
    const observer = new PerformanceObserver((list) => list.getEntries().forEach((entry) => (moved += entry.value)));
    observer.observe({ type: "layout-shift", buffered: true });
    addEventListener("load", () => setTimeout(() => observer.disconnect(), 300)); // later a test may move things
})();"""


def watch_shift(context: BrowserContext) -> None:
    """Pages opened from now on note how far they move under their reader while they load."""
    context.add_init_script(MOVED)


def shift(page: Page) -> float:
    """How far the page moved: its cumulative layout shift."""
    moved: float = page.evaluate("window.moved")
    return moved


READ = """() => {
    const added = [...document.querySelectorAll("main .with-script, #clock")];
    const before = added.map((element) => element.hidden);
    added.forEach((element) => (element.hidden = true));
    const text = document.querySelector("main").innerText;
    added.forEach((element, number) => (element.hidden = before[number]));
    return text;
}"""


def lines(page: Page) -> list[str]:
    """What is to be read in the page, line by line, less what serves scripts alone and the clock, which runs."""
    text: str = page.evaluate(READ)
    return [" ".join(line.split()) for line in text.splitlines()]


# By keyboard alone

TOP = """() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
}"""


def to_top(page: Page) -> None:
    """The next Tab is the page's first, whatever has the focus now."""
    page.evaluate(TOP)


WALK = """() => {
    const looks = (element) => {
        const style = getComputedStyle(element);
        const outline = style.outlineStyle === "none" ? "" : style.outline;
        return [outline, style.boxShadow, style.border, style.background, style.textDecoration].join();
    };
    const group = (radio) =>
        [...(radio.form ?? document).querySelectorAll("[type=radio]")].filter((r) => r.name === radio.name);
    const stop = (element) => {
        if (element.tabIndex < 0 || element.disabled || element.type === "hidden") return false;
        if (!element.checkVisibility({ visibilityProperty: true })) return false;
        return element.type !== "radio" || element === (group(element).find((r) => r.checked) ?? group(element)[0]);
    };
    const interactive = "a[href], button, input, select, textarea, summary, [tabindex]";
    const stops = [...document.querySelectorAll(interactive)].filter(stop);
    const before = new Map(stops.map((element) => [element, looks(element)]));
    const end = new AbortController();
    const walk = (window.walk = { stops, reached: [], faults: [], end });
    walk.name = (e) => e?.outerHTML.replace(/\\s+/g, " ").slice(0, 120) ?? "nothing";
    const covered = (element) => {
        const box = element.getClientRects()[0];
        const points = [[0.5, 0.5], [0.1, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.8]];
        return box && points.every(([x, y]) => {
            const top = document.elementFromPoint(box.left + x * box.width, box.top + y * box.height);
            return !top || !(element.contains(top) || top.contains(element));
        });
    };
    addEventListener("focusin", ({ target }) => {
        walk.reached.push(target);
        if (before.has(target) && looks(target) === before.get(target))
            walk.faults.push(`focus does not show: ${walk.name(target)}`);
    }, { signal: end.signal });
    addEventListener("keydown", () => {
        const target = walk.reached.at(-1);
        if (target && covered(target)) walk.faults.push(`focus is out of sight: ${walk.name(target)}`);
    }, { capture: true, signal: end.signal });
    return stops.length;
}"""
WALKED = """() => {
    const { stops, reached, faults, name, end } = window.walk;
    end.abort();
    const told = reached.filter((element) => stops.includes(element));
    const wrong = stops.findIndex((element, number) => element !== told[number]);
    return wrong < 0 ? faults : [...faults, `not reached in order: ${name(stops[wrong])}, but ${name(told[wrong])}`];
}"""


def walk(page: Page) -> list[str]:
    """What goes wrong when Tab is pressed from the top of the page to its end."""
    to_top(page)
    for _ in range(page.evaluate(WALK) + page.evaluate(SCROLLERS)):
        page.keyboard.press("Tab")
    page.keyboard.press("Shift")  # the last stop's place is looked at too
    faults: list[str] = page.evaluate(WALKED)
    return faults


# Chromium stops at what scrolls, too, if nothing within takes the focus.
SCROLLERS = """() => [...document.querySelectorAll("body *:not([tabindex])")].filter((element) =>
    /auto|scroll/.test(getComputedStyle(element).overflow) && element.scrollWidth > element.clientWidth
).length"""


# With little room

CRAMPED = """() => {
    const faults = [];
    const name = (e) => `<${e.localName} class="${e.className}"> ${e.textContent.trim().slice(0, 60)}`;
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) faults.push(`the page scrolls sideways: ${scrollWidth} > ${clientWidth}`);
    const hidden = /hidden|clip/;
    const forEars = (element) => {
        for (let e = element; e; e = e.parentElement)
            if (e.offsetWidth <= 1 && getComputedStyle(e).clipPath !== "none") return true;
        return false;
    };
    const floats = (element) => {
        for (let e = element; e; e = e.parentElement)
            if (/sticky|fixed|absolute/.test(getComputedStyle(e).position)) return true;
        return false;
    };
    for (const element of document.querySelectorAll("body, body *")) {
        if (!element.checkVisibility() || forEars(element) || !element.textContent.trim()) continue;
        const { overflowX, overflowY } = getComputedStyle(element);
        const wide = hidden.test(overflowX) && element.scrollWidth > element.clientWidth + 1;
        const high = hidden.test(overflowY) && element.scrollHeight > element.clientHeight + 1;
        if (wide || high) faults.push(`text is cut: ${name(element)}`);
    }
    const pen = document.createElement("canvas").getContext("2d");
    for (const cell of document.querySelectorAll("[data-label]")) { // written by the stylesheet, so no text of the page
        const label = getComputedStyle(cell, "::before");
        if (label.content === "none" || label.whiteSpace !== "nowrap") continue;
        pen.font = `${label.fontWeight} ${label.fontSize} ${label.fontFamily}`;
        if (pen.measureText(cell.dataset.label).width > parseFloat(label.inlineSize) + 1)
            faults.push(`label lies on its value: ${name(cell)}`);
    }
    const texts = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const [node, parent] = [walker.currentNode, walker.currentNode.parentElement];
        if (!node.data.trim() || !parent.checkVisibility() || forEars(parent) || floats(parent)) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        // The middle half of a line: what is above and below it is the font's own room.
        for (const { left, right, top, height } of range.getClientRects())
            texts.push({ parent, left, right, top: top + height / 4, bottom: top + (height * 3) / 4 });
    }
    texts.sort((a, b) => a.top - b.top);
    texts.forEach((a, number) => {
        for (const b of texts.slice(number + 1)) {
            if (b.top >= a.bottom) break;
            if (b.parent !== a.parent && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2)
                faults.push(`texts overlap: ${name(a.parent)} / ${name(b.parent)}`);
        }
    });
    return faults;
}"""


def cramped(page: Page) -> list[str]:
    """What does not fit into the page as it stands now: sideways scrolling, text that is cut or lies on other text."""
    faults: list[str] = page.evaluate(CRAMPED)
    return faults
