"""What names and addresses say: whether a variable is a key's, whether an address is one to send calls to. Pure."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_KEY_WORDS = set(
    "key keys apikey apikeys token secret authorization bearer credential credentials pat sk 密钥 秘钥 令牌".split()
)
_NO_KEY_WORDS = set(
    "public primary foreign cache sort partition session ssh private signing encryption max stop pad eos bos unk csrf "
    "xsrf refresh next page idempotency translation hot map index object registry host user".split()
)
_URL_WORDS = set(
    "url urls uri base baseurl apibase apiurl basepath endpoint endpoints host upstream upstreams gateway server "
    "address 地址 接口地址 网址".split()
)
_NO_URL_WORDS = set(
    "doc docs documentation site website home homepage console dashboard help callback redirect webhook auth token key "
    "login signup register privacy terms avatar image icon logo database db redis mongo public app web frontend "
    "billing status repo repository git source issuer referer referrer proxy link pricing".split()
)
_SAYING_NOTHING = set(
    "api auth access my the with set get export setx env const let var default client config cfg options "
    "self this".split()
)
# Names that belong to HTTP, not to whoever gave the key one.
HTTP_NAMES = {"authorization", "x-api-key", "api-key", "x-goog-api-key", "xi-api-key", "bearer", "-u", "--user"}
_API_PATH = re.compile(
    r"/(?:chat/completions|completions|responses|embeddings|messages|models|images|audio|moderations|rerank|deployments"
    r"|engines|files|batches|fine_tuning|dashboard/billing|credits|auth/key|user/(?:balance|info|self))(?=[/:]|$)"
)
_VERSIONED = re.compile(r"/v\d\w*/?$")
_FOR_PEOPLE = re.compile(  # addresses of documentation and consoles
    r"//(?:docs?|platform|console|dashboard|help|support|status|blog|developers?|portal|accounts?|auth|login|github)\."
    r"|/(?:docs?|api-?keys?|keys|tokens?|account|settings|login|signin|signup|register|billing|dashboard|console|help"
    r"|blog|pricing|guides?|quickstart|panel|profile|user|admin)(?=[/?#.]|$)",
    re.I,
)


def words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)] if name else []


def of_key(name: str) -> bool:
    said = [word for word in words(name) if not word.isdigit()]
    return bool(said) and said[-1] in _KEY_WORDS and not _NO_KEY_WORDS.intersection(said)


def of_url(name: str) -> bool:
    said = [word for word in words(name) if not word.isdigit()]
    return bool(said) and said[-1] in _URL_WORDS and not _NO_URL_WORDS.intersection(said)


def subject(name: str) -> str:
    """Whose key or base URL a name says it is: "relay2" for RELAY_API_KEY_2; "" where it does not."""
    return "".join(word for word in words(name) if word not in _KEY_WORDS | _URL_WORDS | _SAYING_NOTHING)


def base_of(url: str) -> tuple[str, bool]:
    """(the base of an address, whether a known path of an API was cut off)."""
    url = re.split(r"[?#]", url, maxsplit=1)[0]
    host_ends = url.find("/", url.find("//") + 2)
    called = _API_PATH.search(url, host_ends) if host_ends > 0 else None
    return (url[: called.start()], True) if called else (url, False)


def for_people(url: str, name: str = "") -> bool:
    """Whether an address, or its name, is a page's: documentation, a console, a site."""
    return bool(_NO_URL_WORDS.intersection(words(name)) if name else _FOR_PEOPLE.search(url))


def versioned(url: str) -> bool:
    """Whether an address ends as the bases of APIs do: "/v1"."""
    return bool(_VERSIONED.search(url))
