"""Which urls an agent may report."""

import pytest

from api.agent_urls import check_agent_url
from api.errors import InvalidAgentUrl

ADMITTED = (
    "http://agent.example.com",
    "https://agent.example.com:8443/a2a/inbound?x=1#y",
    "HTTPS://AGENT.EXAMPLE.COM",
    "http://ws-0b6f3c1e:8000",
    "http://localhost:9000",
    "http://93.184.216.34:8080/",
    "http://[2606:4700:4700::1111]:80/",
    "http://1-2-3-4.example",
    "http://xn--bcher-kva.example/",
)
PRIVATE = (
    "http://10.0.0.5:8000",
    "http://172.16.0.1",
    "http://172.31.255.255",
    "http://192.168.1.7:8000",
    "http://[::ffff:10.0.0.5]/",
    "http://0xc0a80107/",
)
NEVER = {
    "loopback address": (
        "http://127.0.0.1:8000",
        "http://127.8.8.8",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001/",
        "http://0177.0.0.1",
        "http://127.0.0.1./",
        "http://[::1]:80",
        "http://[::ffff:127.0.0.1]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::127.0.0.1]/",
    ),
    "metadata service": (
        "http://169.254.169.254/latest",
        "http://168.63.129.16",
        "http://[::ffff:a9fe:a9fe]",
    ),
    "link-local address": ("http://169.254.1.1", "http://[fe80::1]"),
    "carrier-grade NAT address": ("http://100.64.0.1", "http://100.100.100.200"),
    "address that is not global": (
        "http://0.0.0.0",
        "http://[::]",
        "http://192.0.0.8",
        "http://198.18.0.1",
        "http://224.0.0.1",
        "http://240.0.0.1",
        "http://255.255.255.255",
        "http://[fd00:ec2::254]",
        "http://[fec0::1]",
        "http://[ff02::1]",
        "http://[2001:db8::1]",
        "http://[::127.0.0.1]",
        "http://[64:ff9b:1::1]",
    ),
}
NO_URLS = {
    'url scheme must be http or https, got "ftp"': ("ftp://agent.example.com",),
    'url scheme must be http or https, got "remote"': ("remote://no-inbound",),
    'url scheme must be http or https, got "file"': ("file:///etc/passwd",),
    'url scheme must be http or https, got ""': ("agent.example.com", "//agent.example.com", "/a2a"),
    "url must name a host": (
        "http://",
        "http:///a2a",
        "http://%31%32%37.0.0.1/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://[fe80::1%25eth0]/",
        "http://a,b/",
    ),
    "url must not carry a user name or a password": ("http://me@agent.example.com", "http://a:b@1.1.1.1/"),
    "url is not valid": ("http://agent.example.com:99999", "http://[::1", "http://agent.example.com:port"),
    "url must be at most 2048 printable ASCII characters, no backslash": (
        "http://1.1.1.1\\@127.0.0.1/",
        "http://127.0.0.1\t/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://agent.example.com/ a",
        "http://agent.example.com/" + "a" * 2048,
    ),
}


@pytest.mark.parametrize("url", ADMITTED)
@pytest.mark.parametrize("allow_private", [False, True])
def test_where_everybody_may_be_sent(url: str, allow_private: bool) -> None:
    check_agent_url(url, allow_private=allow_private)


@pytest.mark.parametrize("url", PRIVATE)
def test_private_networks_are_for_who_allows_them(url: str) -> None:
    check_agent_url(url, allow_private=True)
    with pytest.raises(InvalidAgentUrl, match="RFC 1918 private address; ALLOW_PRIVATE_AGENT_URLS admits"):
        check_agent_url(url, allow_private=False)


@pytest.mark.parametrize(
    ("reason", "url"), [(reason, url) for reason, urls in NEVER.items() for url in urls], ids=str
)
@pytest.mark.parametrize("allow_private", [False, True])
def test_where_nobody_may_be_sent(reason: str, url: str, allow_private: bool) -> None:
    with pytest.raises(InvalidAgentUrl) as refused:
        check_agent_url(url, allow_private=allow_private)
    assert refused.value.message == f"url targets a blocked address: {reason}"


@pytest.mark.parametrize(
    ("reason", "url"),
    [(reason, url) for reason, urls in NO_URLS.items() for url in urls],
    ids=lambda text: ascii(text)[:60],
)
def test_what_is_no_url_of_an_agent(reason: str, url: str) -> None:
    with pytest.raises(InvalidAgentUrl) as refused:
        check_agent_url(url, allow_private=True)
    assert refused.value.message == reason
