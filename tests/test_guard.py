"""Which addresses may be dialled, and which base URLs may be asked for."""

from __future__ import annotations

import pytest

from probes import guard, words

# facts/reliability.md V1, measured.
BLOCKED = """
0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.254 127.0.0.1
127.255.255.254 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1
192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
255.255.255.255 168.63.129.16 :: ::1 ::7f00:1 ::a9fe:a9fe ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::ffff:10.0.0.1
::ffff:100.64.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 100::1 2001::1 2001:2::1
2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1
fec0::1 ff02::1
""".split()
PASSED = """
8.8.8.8 1.1.1.1 100.63.255.254 100.128.0.1 172.15.255.255 172.32.0.1 104.18.6.192
2606:4700:4700::1111 2001:4860:4860::8888 2a06:98c1:3121::3
""".split()


def test_the_lists_are_whole() -> None:
    assert (len(BLOCKED), len(PASSED)) == (54, 10)


@pytest.mark.parametrize("address", BLOCKED)
def test_an_address_of_nobody_on_the_internet_is_blocked(address: str) -> None:
    assert not guard.address_allowed(address)


@pytest.mark.parametrize("address", PASSED)
def test_an_address_on_the_internet_passes(address: str) -> None:
    assert guard.address_allowed(address)


@pytest.mark.parametrize(
    "address",
    ["", " ", "localhost", "8.8.8.8 ", "8.8.8.8\n", "8.8.8", "08.8.8.8", "0x8.8.8.8", "134744072", "8.8.8.8/32",
     "2606:4700:4700::1111%eth0", "[2606:4700:4700::1111]", "２６０６::1", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_what_is_no_plain_address_is_blocked(address: str) -> None:
    assert not guard.address_allowed(address)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("https://relay.acme.dev", "https://relay.acme.dev"),
        ("https://relay.acme.dev/", "https://relay.acme.dev"),
        ("  https://relay.acme.dev/v1/  ", "https://relay.acme.dev/v1"),
        ("HTTPS://Relay.ACME.dev/V1", "https://relay.acme.dev/V1"),
        ("https://relay.acme.dev:443/v1", "https://relay.acme.dev/v1"),
        ("https://relay.acme.dev/api/~team_1/v1.5-beta", "https://relay.acme.dev/api/~team_1/v1.5-beta"),
        ("https://xn--bcher-kva.example.com/v1", "https://xn--bcher-kva.example.com/v1"),
        ("https://1.2.3.4.relay.dev", "https://1.2.3.4.relay.dev"),
    ],
)
def test_a_good_base_url_has_one_spelling(text: str, spelled: str) -> None:
    assert guard.base_url(text) == spelled
    assert guard.base_url(spelled) == spelled


REFUSED = [
    # not https
    ("http://relay.acme.dev", "scheme"),
    ("relay.acme.dev/v1", "scheme"),
    ("ftp://relay.acme.dev", "scheme"),
    ("//relay.acme.dev", "scheme"),
    ("https:relay.acme.dev", "scheme"),
    ("https:/relay.acme.dev", "scheme"),
    ("file:///etc/passwd", "scheme"),
    # two parsers, two hosts (V3)
    ("https://user@relay.acme.dev", "user_info"),
    ("https://user:word@relay.acme.dev", "user_info"),
    ("https://relay.acme.dev@127.0.0.1/", "user_info"),
    ("https://127.0.0.1\\@api.openai.com/", "user_info"),
    ("https://api.openai.com\\@127.0.0.1/", "user_info"),
    ("https://api.openai.com%40127.0.0.1/", "characters"),
    ("https://api.openai.com%00.acme.dev/", "characters"),
    ("https://%61pi.openai.com/", "characters"),
    ("https://127.0.0.1%2f@relay.acme.dev/", "user_info"),
    ("https://relay.acme.dev\\@/", "user_info"),
    ("https:///relay.acme.dev/", "characters"),
    ("https://https://relay.acme.dev/", "characters"),
    ("https://api.openai.com\\.acme.dev/", "characters"),
    ("https:\\\\relay.acme.dev", "scheme"),
    ("https://api.openai.com#.acme.dev/", "characters"),
    ("https://api.openai.com?.acme.dev/", "characters"),
    # control characters and spaces inside
    ("https://relay.acme\t.dev", "characters"),
    ("https://relay.acme\n.dev", "characters"),
    ("https://relay.acme.dev/v1\r\nX: y", "characters"),
    ("https://relay.acme.dev/\x00", "characters"),
    ("https://relay.acme.dev/\x7f", "characters"),
    ("https://rel ay.acme.dev", "characters"),
    ("https://relay.acme.dev/\u00a0v1", "characters"),
    # addresses in every notation (V2)
    ("https://127.0.0.1/", "address"),
    ("https://8.8.8.8/", "address"),
    ("https://2130706433/", "address"),
    ("https://0x7f000001/", "address"),
    ("https://0X7F000001/", "address"),
    ("https://0x7f.0x0.0x0.0x1/", "address"),
    ("https://0177.0.0.1/", "address"),
    ("https://017700000001/", "address"),
    ("https://127.1/", "address"),
    ("https://127.0.1/", "address"),
    ("https://0/", "address"),
    ("https://2852039166/", "address"),
    ("https://0xa9fea9fe/", "address"),
    ("https://169.254.43518/", "address"),
    ("https://1.0x7f/", "address"),
    ("https://①②⑦.⓪.⓪.①/", "characters"),
    ("https://127。0。0。1/", "characters"),
    ("https://[::1]/", "characters"),
    ("https://[::ffff:127.0.0.1]/", "characters"),
    ("https://[fe80::1%25eth0]/", "characters"),
    ("https://[fe80::1%eth0]/", "characters"),
    ("https://[::ffff:7f00:1]/", "characters"),
    ("https://[::127.0.0.1]/", "characters"),
    ("https://[::]:443/", "characters"),
    ("https://::1/", "characters"),
    ("https://0x7f.1/", "address"),
    ("https://0177.1/", "address"),
    ("https://00000177.0.0.1/", "address"),
    ("https://127.0.0.1:443/", "address"),
    ("https://0x/", "address"),
    ("https://１２７.0.0.1/", "characters"),
    ("https://127.0.0.1．/", "characters"),
    ("https://relay｡acme.dev/", "characters"),
    ("https://127.0.0.1./", "host"),
    # names
    ("https://localhost/", "dotless"),
    ("https://intranet/", "dotless"),
    ("https://a.localhost/", "special_name"),
    ("https://printer.local/", "special_name"),
    ("https://metadata.google.internal/", "special_name"),
    ("https://1.0.0.127.in-addr.arpa/", "special_name"),
    ("https://router.home.arpa/", "special_name"),
    ("https://hidden.onion/", "special_name"),
    ("https://relay.acme.dev./", "host"),
    ("https://.acme.dev/", "host"),
    ("https://relay..dev/", "host"),
    ("https://-relay.acme.dev/", "host"),
    ("https://relay-.acme.dev/", "host"),
    (f"https://{'a' * 64}.dev/", "host"),
    (f"https://{'a.' * 130}dev/", "host"),
    ("https://re_lay.acme.dev/", "characters"),
    ("https://bücher.example.com/", "characters"),
    ("https://ｒelay.acme.dev/", "characters"),
    ("https://re\u200blay.acme.dev/", "characters"),
    ("https://", "characters"),
    ("https:///v1", "characters"),
    # ports
    ("https://relay.acme.dev:80/", "port"),
    ("https://relay.acme.dev:8443/", "port"),
    ("https://relay.acme.dev:0/", "port"),
    ("https://relay.acme.dev:99999/", "port"),
    ("https://relay.acme.dev:/", "characters"),
    ("https://relay.acme.dev:443443/", "characters"),
    ("https://relay.acme.dev:+443/", "characters"),
    ("https://relay.acme.dev:４４３/", "characters"),
    ("https://relay.acme.dev:443:443/", "characters"),
    ("https://relay.acme.dev:0x1bb/", "characters"),
    ("https://relay.acme.dev:65979/", "port"),
    # paths
    ("https://relay.acme.dev/../v1", "path"),
    ("https://relay.acme.dev/v1/..", "path"),
    ("https://relay.acme.dev/v1/./x", "path"),
    ("https://relay.acme.dev//v1", "path"),
    ("https://relay.acme.dev/v1//x/", "path"),
    ("https://relay.acme.dev/%2e%2e/v1", "characters"),
    ("https://relay.acme.dev/v1?key=1", "characters"),
    ("https://relay.acme.dev/v1#x", "characters"),
    ("https://relay.acme.dev/v1;x", "characters"),
    ("https://relay.acme.dev/v1/{region}", "characters"),
    ("https://relay.acme.dev/v1\\x", "characters"),
    ("https://relay.acme.dev/ü", "characters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_doubtful_base_url_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(guard.BaseUrlError) as caught:
        guard.base_url(text)
    assert caught.value.args == (reason,)


def test_every_reason_has_words() -> None:
    assert {reason for _text, reason in REFUSED} <= set(words.BASE_URL_FAULTS)


PRIVATE = ("http://10.1.2.3:8000", "https://llm.acme.internal", "http://localhost:11434/")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("http://10.1.2.3:8000", "http://10.1.2.3:8000"),
        ("http://10.1.2.3:8000/v1/", "http://10.1.2.3:8000/v1"),
        ("https://llm.acme.internal/v1", "https://llm.acme.internal/v1"),
        ("http://localhost:11434/v1", "http://localhost:11434/v1"),
    ],
)
def test_an_origin_that_the_operator_allows_may_be_private(text: str, spelled: str) -> None:
    assert guard.base_url(text, PRIVATE) == spelled


@pytest.mark.parametrize(
    "text",
    [
        "http://10.1.2.3:80000",
        "http://10.1.2.3:8000@127.0.0.1/",
        "http://10.1.2.3",
        "http://10.1.2.3:8000.acme.dev/",
        "http://10.1.2.3:8000\\@127.0.0.1/",
        "http://10.1.2.3:8000/../x",
        "http://10.1.2.3:8000//127.0.0.1/",
        "http://10.1.2.3:8000/v1?x=y",
        "http://10.1.2.3:8000/\r\nHost: x",
        "http://llm.acme.internal/",
        "https://llm.acme.internal:8443/",
    ],
)
def test_what_is_allowed_is_that_origin_alone_with_a_plain_path(text: str) -> None:
    with pytest.raises(guard.BaseUrlError):
        guard.base_url(text, PRIVATE)
