"""What the house rests on, read from the code itself: who imports whom, and who may do what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROBES = ROOT / "probes"
CATALOGUE = PROBES / "catalogue"

VALUES = {"secret", "exchange", "guard", "keyform"}
CORE = {
    "seed",
    "terms",
    "paste",
    "find",
    "names",
    "beside",
    "client",
    "evidence",
    "examination",
    "verdict",
    "report",
    "lab.recorded",
    "lab.server",
}
CORE |= {"coverage", "exports", "lanes", "hints", "openapi", "identity", "pages.shelf"}
SHOWN = {"pages", "pages.page", "pages.provider_key_probes", "compare"}
SHOWN |= {"formats", "pages.models", "pages.limits", "pages.model_key_routes", "pages.model_limit_probes"}
SHOWN |= {"pages.model_capability_probes", "pages.model_error_routes", "pages.shelf"}
SHOWN |= {"pages.errors", "pages.rules", "pages.readings", "pages.key_shapes", "pages.dimensions"}
SHOWN |= {"pages.provider_sections", "pages.key_error_routes", "pages.key_intelligence", "pages.provider_compare"}
WORDS = {"words"}
PURE = VALUES | CORE | SHOWN | WORDS

MAY_TRANSLATE = WORDS | SHOWN
ONLY_WORDS_OF_DJANGO = {"django.utils.translation", "django.utils.functional"}

# What is stored may use the core; the shell may use everything. Nothing looks upwards.
STORED = {"forms", "models", "models.access", "models.catalogue", "models.detection", "models.seen", "models.shelf"}
STORED |= {"models.versions", "seal", "start", "widgets"}
SHELL_ONLY = {"views", "result_views", "api", "account", "access", "urls", "worker", "burn", "store", "results"}
SHELL_ONLY |= {"health", "public", "core_pages", "found", "checks", "signals", "apps", "sow"}


def module_of(path: Path) -> str:
    """probes/lab/server.py is lab.server; probes/pages/__init__.py is pages."""
    name = ".".join(path.relative_to(PROBES).with_suffix("").parts)
    return name.removesuffix("__init__").rstrip(".")


FILES = [p for p in sorted(PROBES.rglob("*.py")) if "migrations" not in p.parts]
MODULES = {module_of(p): p for p in FILES}
COMMANDS = {name for name in MODULES if name.startswith("management.commands.")}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imported(name: str) -> set[str]:
    """Full names of what a module imports, also inside functions; `from a import b` is both a and a.b."""
    found: set[str] = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(name: str) -> set[str]:
    """Modules of this application that a module imports."""
    return {i.removeprefix("probes.") for i in imported(name) if i.startswith("probes.")} & set(MODULES)


def top(name: str) -> set[str]:
    return {i.partition(".")[0] for i in imported(name)}


def calls(name: str) -> set[str]:
    """Names and attributes that a module calls."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                found.add(f".{node.func.attr}")
                found.add(node.func.attr)
            elif isinstance(node.func, ast.Name):
                found.add(node.func.id)
    return found


def who(does: str) -> set[str]:
    return {name for name in MODULES if does in calls(name)}


def strings(name: str) -> Iterator[str]:
    """String constants that are no documentation."""
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


# Imports point one way


def test_every_module_that_is_named_here_exists() -> None:
    assert set(MODULES) >= PURE | STORED | SHELL_ONLY


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_knows_no_django(name: str) -> None:
    allowed = ONLY_WORDS_OF_DJANGO if name in MAY_TRANSLATE else set()
    found = {i for i in imported(name) if i.split(".")[0] in ("django", "django_q")}
    assert {i for i in found if not any(i == a or i.startswith(a + ".") for a in allowed)} == set()


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_imports_the_core_alone(name: str) -> None:
    assert ours(name) <= PURE


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values_import_values_alone(name: str) -> None:
    assert ours(name) <= VALUES


def test_words_import_nothing_of_ours() -> None:
    assert ours("words") == set()


def test_only_the_report_the_comparison_two_public_pages_and_the_shell_speak_in_words() -> None:
    """The pages that tell what a result will say tell it in the result's own words."""
    assert {name for name in PURE if "words" in ours(name)} == {
        "report",
        "compare",
        "pages.rules",
        "pages.key_intelligence",
    }


@pytest.mark.parametrize("name", sorted(STORED))
def test_what_is_stored_does_not_look_into_the_shell(name: str) -> None:
    assert ours(name) <= PURE | STORED


def test_nothing_but_the_admin_and_the_start_imports_views() -> None:
    assert {name for name in MODULES if "views" in ours(name)} <= {"urls"}


def test_no_import_goes_in_a_circle() -> None:
    """A package and its own parts are one thing."""
    graph: dict[str, set[str]] = {}
    for name in filter(None, MODULES):
        package = name.partition(".")[0]
        graph.setdefault(package, set()).update({used.partition(".")[0] for used in ours(name)} - {package, ""})
    while ends := {name for name, uses in graph.items() if not uses & set(graph)}:
        graph = {name: uses for name, uses in graph.items() if name not in ends}
    assert graph == {}


# Who may do what


def test_only_the_client_speaks_http() -> None:
    assert {name for name in MODULES if top(name) & {"requests", "urllib3", "certifi", "httpx", "aiohttp"}} == {
        "client"
    }


def test_only_the_client_opens_a_socket_and_the_commands_speak_to_ourselves() -> None:
    network = {"socket", "ssl", "http", "urllib.request", "asyncio", "ftplib", "smtplib", "socketserver"}
    users = {name for name in MODULES if imported(name) & network or top(name) & (network - {"http"})}
    users |= {name for name in MODULES if imported(name) & {"http.client", "http.server"}}
    assert users == {"client", "lab.server", "management.commands.dev", "management.commands.proof"}


def test_only_the_worker_opens_a_sealed_key() -> None:
    assert who("open_key") == {"worker"}


def test_only_three_modules_see_a_key() -> None:
    assert who(".reveal") == {"seal", "client", "exchange"}


def test_only_the_commands_start_processes() -> None:
    assert {name for name in MODULES if "subprocess" in imported(name)} <= COMMANDS


def test_nothing_is_evaluated_or_unpickled() -> None:
    for name in MODULES:
        found = {n.func.id for n in ast.walk(TREES[name]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        assert not found & {"eval", "exec", "compile", "__import__"}, name
        assert not top(name) & {"pickle", "marshal", "shelve"}, name


def environment_readers() -> set[str]:
    found = set()
    for path in [*FILES, *sorted((ROOT / "testkey").glob("*.py")), ROOT / "manage.py"]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            attribute = isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv")
            if attribute and isinstance(node.value, ast.Name) and node.value.id == "os":  # type: ignore[attr-defined]
                found.add(str(path.relative_to(ROOT)))
    return found


def test_the_environment_is_read_in_the_settings_alone() -> None:
    starters = {"manage.py", "testkey/wsgi.py"}
    children = {"probes/management/commands/dev.py", "probes/management/commands/proof.py"}  # hand it on
    assert environment_readers() == {"testkey/settings.py"} | starters | children


def test_nothing_prints_but_the_commands() -> None:
    assert who("print") == set()


# A provider is data


def slugs() -> set[str]:
    return {p.stem for p in CATALOGUE.rglob("*.toml") if not p.stem.startswith("_")}


# Words that name a protocol, not whose it is.
SPEAK_OF_PROTOCOLS = {
    "models.catalogue",
    "pages.provider_key_probes",
    "examination",
    "seed",
    "terms",
    "report",
    "exports",
}
# Names of files for other software, which is known as a gateway, too.
FILES_FOR = {"exports": {"litellm", "new-api"}}


@pytest.mark.parametrize("name", sorted(set(MODULES) - {""}))
def test_no_code_names_a_provider(name: str) -> None:
    """Except the claim that a relay makes when nobody says (examination.CLAIM_WITHOUT_CHOICE)."""
    allowed = {"openai", "anthropic"} if name in SPEAK_OF_PROTOCOLS else set()
    assert (set(strings(name)) & slugs()) - allowed - FILES_FOR.get(name, set()) == set()


def test_the_claim_without_a_choice_is_said_once() -> None:
    assert sum("openai" in set(strings(name)) for name in ("examination", "forms", "worker", "verdict", "views")) == 1


# Templates and scripts

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_a_template_escapes_everything_and_has_no_inline_script_or_style(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*(safe|safeseq)\b|autoescape\s+off", text)
    assert not re.search(r"<style|\sstyle\s*=|javascript:", text, re.I)
    assert not re.search(r"<[^>%]*\son[a-z]+\s*=", text, re.I)
    for kind, tag in re.findall(r"<script([^>]*)>(.*?)</script>", text, re.S | re.I):
        assert tag == "" or (kind, tag) == (' type="application/ld+json"', "{{ way }}")  # data, made in `public.head`


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_a_template_asks_nobody_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|action)\s*=\s*[\"']?(?:https?:)?//", text, re.I)
    assert not re.search(r"<link[^>]*href\s*=\s*[\"']?(?:https?:)?//", text, re.I)


def test_no_code_marks_anything_as_safe_but_the_data_for_machines() -> None:
    for name in set(MODULES) - {"public"}:
        assert not {i.rpartition(".")[2] for i in imported(name)} & {"mark_safe", "SafeString", "SafeText"}, name


def test_scripts_and_styles_ask_nobody_else() -> None:
    for path in (p for p in (ROOT / "static").rglob("*") if p.suffix in (".js", ".css", ".svg")):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|url\(\s*[\"']?//", text), path.name
        assert not re.search(r"\beval\(|new Function|document\.write", text), path.name


# Size asks to be reconsidered


def test_no_module_has_outgrown_its_purpose() -> None:
    """A file over 600 lines is two."""
    assert {name: n for name, p in MODULES.items() if (n := len(p.read_text().splitlines())) > 600} == {}
