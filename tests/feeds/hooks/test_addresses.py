"""Every spelling and address of the bad-input table, refused without a look-up."""

from ipaddress import ip_address, ip_network

import pytest

from feeds.hooks.addresses import (
    AddressRefused,
    AddressRules,
    check_address,
    check_url,
    why_refused,
)

RULES = AddressRules(own_hosts=frozenset({"oms.store.com", ".store.net", "93.184.215.14", "*"}))
ANY_PORT = AddressRules(ports=None, allows_http=True, allowed=(ip_network("127.0.0.0/8"),))


@pytest.mark.parametrize(
    "url",
    [
        "https://erp.customer.com",
        "https://erp.customer.com/hooks?tenant=a%20b&x=1",
        "https://ERP.Customer.com:8443/hooks",
        "https://8.8.8.8/hooks",
        "https://[2606:4700:4700::1111]/hooks",
        "https://xn--bcher-kva.example/hooks",
        "https://a-1.b2.co/@inside/path?who=me@example.com",
    ],
)
def test_addresses_of_the_public_internet_pass(url: str) -> None:
    assert check_url(url, RULES).url == url


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "a.localhost", "127.1", "0x7f000001", "0x7f.0.0.1"),
        *("2130706433", "0177.0.0.1", "0", "0x", "0.0.0.0", "00.0.0.0", "127.0.0.1.", "1.2.3.4.5"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
        *(
            "[fec0::1]",
            "[ff02::1]",
            "[fe80::1%25lo]",
            "[fe80::1%lo]",
            "[2606:4700::1%251]",
            "[::]",
        ),
        *("[64:ff9b:1::7f00:1]", "[2001:0:7f00:1::]", "[fc00::1]", "[fd00::1]", "[fe80::1]"),
        *("[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[4000::1]", "[2001:20::1]"),
        *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("192.0.0.8", "192.0.0.9", "192.88.99.1", "198.18.0.1", "198.19.255.255", "192.0.2.1"),
        *("198.51.100.1", "203.0.113.1", "192.31.196.1", "192.52.193.1", "192.175.48.1"),
        # 1 and 2 in full width, letters of another alphabet that look like ours
        *("\uff11\uff12\uff17.0.0.1", "\u0430pple.com", "b\u00fccher.example", "\u2460.com"),
        *("erp.customer.com.", "erp..customer.com", "-erp.customer.com", "erp_1.customer.com"),
        *("user:pw@erp.customer.com", "user@erp.customer.com", "@erp.customer.com", "erp"),
        *(
            "erp.customer.com\\@127.0.0.1",
            "erp.customer.com#@127.0.0.1",
            "127.0.0.1#.customer.com",
        ),
        *("erp.customer.com:80", "erp.customer.com:22", "erp.customer.com:0", "erp.customer.com:"),
        *("erp.customer.com:99999", "erp.customer.com:443:443", "", ":443", "[]", "[::1", "::1"),
        *("erp.customer.com\t", "erp.customer.com\r\nHost: x", "erp customer.com", "xn--a.com"),
        *("oms.store.com", "OMS.store.com", "shop.store.net", "store.net", "93.184.215.14"),
        "%31%32%37.0.0.1",
    ],
)
def test_what_must_not_be_called_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(f"https://{host}/hooks", RULES)


@pytest.mark.parametrize(
    "url",
    [
        *("", "erp.customer.com", "http://erp.customer.com/", "ftp://erp.customer.com/"),
        *("HTTPS://erp.customer.com/", "file:///etc/passwd", "https:erp.customer.com", "https://"),
        *("https:///erp.customer.com", "//erp.customer.com", "https:/\\erp.customer.com"),
        *("https://erp.customer.com/\u00e9", "https://erp.customer.com/a b", "gopher://x.com/"),
        "https://erp.customer.com/" + "x" * 2048,
    ],
)
def test_what_is_no_plain_https_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, RULES)


def test_a_refused_international_name_is_told_its_ascii_form() -> None:
    with pytest.raises(AddressRefused, match=r"xn--bcher-kva\.example"):
        check_url("https://bücher.example/", RULES)


def test_the_rules_of_tests_let_loopback_pass_and_nothing_else() -> None:
    target = check_url("http://127.0.0.1:8123/hook", ANY_PORT)
    assert (target.host, target.port, str(target.address)) == ("127.0.0.1", 8123, "127.0.0.1")
    for host in ("[::1]", "10.0.0.1", "169.254.169.254", "localhost", "127.1"):
        with pytest.raises(AddressRefused):
            check_url(f"http://{host}/", ANY_PORT)


# The addresses of the unit test of Svix (svix-server, `is_allowed`), and what is_global lets through.
@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "127.0.0.1", "127.255.255.255", "10.1.2.3", "172.16.5.5", "192.168.0.1"),
        *("169.254.0.1", "100.64.0.1", "192.0.0.0", "192.0.0.255", "198.18.0.0", "198.19.0.0"),
        *(
            "240.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "192.0.2.255",
            "198.51.100.0",
            "203.0.113.9",
        ),
        *("::", "::1", "fe80::1", "febf::1", "fc00::", "fdff::1", "ff01::1", "2001:db8::"),
        *("::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2001::1", "2002:a00:1::"),
        *("192.0.0.8", "192.88.99.1", "::127.0.0.1", "64:ff9b:1::1", "fec0::1", "5f00::1"),
    ],
)
def test_special_addresses_are_refused_when_a_name_leads_to_them(address: str) -> None:
    assert why_refused(ip_address(address)) is not None
    with pytest.raises(AddressRefused):
        check_address(address, RULES)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "172.32.0.1", "2606:4700::1111"])
def test_public_addresses_pass_when_a_name_leads_to_them(address: str) -> None:
    check_address(address, RULES)


def test_an_allowed_network_passes_and_its_neighbours_do_not() -> None:
    allowed = (ip_network("127.0.0.1/32"),)
    assert why_refused(ip_address("127.0.0.1"), allowed) is None
    assert why_refused(ip_address("127.0.0.2"), allowed) == "loopback"
    assert why_refused(ip_address("::1"), allowed) == "loopback"
