"""Who a request is from: believed only as far as trusted proxies wrote it."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from socialflow_core.ratelimit import ClientIdentity, key_of

OURS = tuple(map(ip_network, ["10.0.0.0/8", "fd00::/8"]))
identity = ClientIdentity(trusted_proxies=OURS)

XFF = "X-Forwarded-For"
FORWARDED = "Forwarded"

outsiders = st.ip_addresses().filter(
    lambda address: (
        getattr(address, "ipv4_mapped", None) is None and not any(address in own for own in OURS)
    )
)
insiders = st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fd00::/8")


def seen(peer: str | None, *headers: tuple[str, str]) -> str:
    """The address that the caller is taken for, as text."""
    return str(identity.address(peer, headers))


@pytest.mark.parametrize(
    "peer",
    [
        "203.0.113.7",
        "203.0.113.7:5000",
        "::ffff:203.0.113.7",
        "[::ffff:203.0.113.7]:5000",
        "::ffff:cb00:7107",
    ],
)
def test_one_address_has_one_key_however_it_is_written(peer: str) -> None:
    """Ports and the IPv6 form of an IPv4 address do not make another caller."""
    assert identity.key(peer) == key_of("ip", "203.0.113.7/32")


@pytest.mark.parametrize(
    "peer",
    [
        "2001:db8:0:12ff::1",
        "[2001:db8:0:1200::]",
        "[2001:db8:0:12aa:1:2:3:4]:443",
        "2001:DB8:0:1200::9%eth0",
    ],
)
def test_ipv6_callers_are_told_apart_by_their_network(peer: str) -> None:
    """A household's /56 is one caller; zone and port do not matter."""
    assert identity.key(peer) == key_of("ip", "2001:db8:0:1200::/56")


def test_the_prefixes_are_options() -> None:
    """Coarser or finer groups of addresses, of both versions."""
    coarse = ClientIdentity(ipv4_prefix=24, ipv6_prefix=32)
    assert coarse.key("203.0.113.7") == coarse.key("203.0.113.99") != coarse.key("203.0.114.7")
    assert coarse.key("2001:db8::1") == coarse.key("2001:db8:ffff::1")
    assert coarse.key("::1") == key_of("ip", "::/32")
    assert ClientIdentity(ipv6_prefix=128).key("::1") == key_of("ip", "::1/128")


@pytest.mark.parametrize(
    "peer", [None, "", "unix:", "/run/app.sock", "testclient", "1.2.3", "x" * 10**6]
)
def test_peers_without_an_address_share_a_counter(peer: str | None) -> None:
    """No address: one counter for all such peers, and no header is believed."""
    assert identity.key(peer, [(XFF, "203.0.113.7")]) == key_of("ip", "unknown")


def test_a_local_socket_can_be_trusted() -> None:
    """Behind a proxy on a Unix socket, the option lets its headers be believed."""
    local = ClientIdentity(trust_local_socket=True)
    assert local.key(None, [(XFF, "203.0.113.7")]) == key_of("ip", "203.0.113.7/32")
    assert local.key(None, [(XFF, "unknown")]) == key_of("ip", "unknown")
    assert local.key("198.51.100.1", [(XFF, "203.0.113.7")]) == key_of("ip", "198.51.100.1/32")


def test_a_user_counts_as_a_user_wherever_it_calls_from() -> None:
    """A proven user has its own counter; nobody (empty, None) has its address's."""
    assert identity.key("203.0.113.7", user="alice") == identity.key("::1", user="alice")
    assert identity.key("203.0.113.7", user="") == identity.key("203.0.113.7", user=None)


@given(outsiders)
def test_a_user_cannot_name_itself_into_an_addresss_counter(address: object) -> None:
    """The two kinds of callers never share a key."""
    by_address = identity.key(str(address))
    assert identity.key(None, user=str(address)) != by_address
    assert identity.key(None, user=by_address) != by_address
    assert identity.key(None, user="unknown") != identity.key(None)


@given(outsiders, st.lists(st.tuples(st.sampled_from([XFF, FORWARDED]), st.text())))
def test_headers_of_a_stranger_are_not_believed(
    peer: object, headers: list[tuple[str, str]]
) -> None:
    """Without a trusted proxy between, no header changes who is calling."""
    assert identity.address(str(peer), headers) == peer


@pytest.mark.parametrize(
    ("name", "entry"),
    [(XFF, "{}"), (XFF, "[{}]:80"), (FORWARDED, 'for="[{}]"'), (FORWARDED, "for={};by=x")],
)
@given(st.text(), outsiders, st.lists(insiders, min_size=1, max_size=32))
def test_a_caller_cannot_change_what_the_proxies_wrote(
    name: str, entry: str, forged: str, client: object, proxies: list[object]
) -> None:
    """Whatever the caller sent itself, the first hop outside the trusted ones is the caller."""
    entries = [entry.format(hop) for hop in (client, *proxies[1:])]
    assert identity.address(str(proxies[0]), [(name, ", ".join([forged, *entries]))]) == client


@given(
    insiders,
    st.lists(
        st.tuples(
            st.sampled_from([XFF, FORWARDED, "Via"]),
            st.text(st.characters() | st.sampled_from('for=",;: []0123456789.')),
        )
    ),
)
def test_no_header_breaks_it(peer: object, headers: list[tuple[str, str]]) -> None:
    """Any text at all gives an answer, and a key that the limiter takes."""
    assert 0 < len(identity.key(str(peer), headers)) <= 1024


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("1.1.1.1,203.0.113.7:443", "203.0.113.7"),
        ("1.1.1.1, [2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.2, fd00::2", "203.0.113.7"),
        ("203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),  # all are ours: a call from inside
        ("1.1.1.1, unknown", "10.0.0.1"),
        ("1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("1.1.1.1, ", "10.0.0.1"),
        ("1.1.1.1, 999.1.1.1", "10.0.0.1"),
        ("1.1.1.1, 01.1.1.1", "10.0.0.1"),
        ("1.1.1.1, 1.2.3.4:port", "10.0.0.1"),
        ("1.1.1.1, [::1", "10.0.0.1"),
        ("1.1.1.1, []:80", "10.0.0.1"),
        ('1.1.1.1, "203.0.113.7"', "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_x_forwarded_for(value: str, client: str) -> None:
    """Read from the right; what is no address ends the reading at the proxy that wrote it."""
    assert seen("10.0.0.1", (XFF, value)) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7", "203.0.113.7"),
        ("for=1.1.1.1, for=203.0.113.7", "203.0.113.7"),
        ('for="203.0.113.7:443";proto=https;by=10.0.0.1', "203.0.113.7"),
        ("proto=https; for=203.0.113.7", "203.0.113.7"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('for="203.0.113.7:_port"', "203.0.113.7"),
        ('host="a\\"b;c=d";for=203.0.113.7', "203.0.113.7"),
        ("for=203.0.113.7, for=10.0.0.2", "203.0.113.7"),
        ("for=1.1.1.1, for=_hidden", "10.0.0.1"),
        ("for=1.1.1.1, for=unknown", "10.0.0.1"),
        ("for=1.1.1.1, for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("for=1.1.1.1, proto=https", "10.0.0.1"),
        ("for=1.1.1.1, for=2.2.2.2;for=3.3.3.3", "10.0.0.1"),
        ("for=1.1.1.1, for=", "10.0.0.1"),
        ("for=1.1.1.1, for = 2.2.2.2", "10.0.0.1"),
        ('for=1.1.1.1, for="2.2.2.2', "10.0.0.1"),
        ('for=1.1.1.1, for=2.2.2.2"', "10.0.0.1"),
        ("for=1.1.1.1, 2.2.2.2", "10.0.0.1"),
        ("for=1.1.1.1,", "10.0.0.1"),
        ('for="', "10.0.0.1"),
    ],
)
def test_forwarded(value: str, client: str) -> None:
    """RFC 7239 with its quotes, brackets and ports; hidden and broken hops end the reading."""
    assert seen("10.0.0.1", (FORWARDED, value)) == client


@pytest.mark.parametrize(
    "forged",
    [
        "x, for=9.9.9.9",
        "x, for=9.9.9.9;a=",
        ", for=9.9.9.9;a=",
        'x\\", for=\\"9.9.9.9',
        ";for=9.9.9.9",
        ";for=9.9.9.9;",
        "x;for=9.9.9.9, for=9.9.9.9",
    ],
)
@pytest.mark.parametrize("rest", ["", ';proto="https"', ';proto=";a=b"', ";proto=https"])
@pytest.mark.parametrize("named", ["for=203.0.113.7;", ""])
def test_a_callers_text_inside_a_proxys_quotes_stays_text(
    forged: str, rest: str, named: str
) -> None:
    """A Host header that the proxy quotes cannot add a hop."""
    assert "9.9.9.9" not in seen("10.0.0.1", (FORWARDED, f'{named}host="{forged}"{rest}'))


def test_several_lines_are_one_list() -> None:
    """A proxy may append a line of its own; names of headers have no case."""
    assert seen("10.0.0.1", (XFF, "1.1.1.1"), ("x-forwarded-for", "203.0.113.7")) == "203.0.113.7"
    assert (
        seen("10.0.0.1", (FORWARDED, "for=203.0.113.7"), (FORWARDED, "for=10.0.0.2"))
        == "203.0.113.7"
    )


def test_two_headers_are_believed_if_they_agree() -> None:
    """A proxy that writes one header may pass on a forged other: then neither is believed."""
    both = ("Forwarded", 'for="203.0.113.7:443"'), (XFF, "203.0.113.7")
    assert seen("10.0.0.1", *both) == "203.0.113.7"
    assert seen("10.0.0.1", (FORWARDED, "for=9.9.9.9"), (XFF, "203.0.113.7")) == "10.0.0.1"
    assert seen("10.0.0.1", (FORWARDED, "nonsense"), (XFF, "203.0.113.7")) == "10.0.0.1"


def test_only_the_nearest_hops_are_read() -> None:
    """A chain beyond 32 trusted proxies ends there, however it is split into lines."""
    chain = ", ".join(["203.0.113.7"] + ["10.0.0.2"] * 31)
    assert seen("10.0.0.1", (XFF, chain)) == "203.0.113.7"
    assert seen("10.0.0.1", (XFF, chain), (XFF, "10.0.0.3")) == "10.0.0.2"


@pytest.mark.parametrize("filler", ["1.1.1.1,", ",", '"', "for=1.1.1.1;", "\\", "["])
@pytest.mark.parametrize("name", [XFF, FORWARDED])
def test_huge_headers_are_read_from_the_right_end_only(name: str, filler: str) -> None:
    """Ten megabytes before the proxies' entry change nothing; as an entry they are malformed."""
    huge = filler * (10_000_000 // len(filler))
    entry = "203.0.113.7" if name == XFF else "for=203.0.113.7"
    assert seen("10.0.0.1", (name, f"{huge},{entry}")) == "203.0.113.7"
    assert seen("10.0.0.1", (name, "x" + huge.replace(",", "."))) == "10.0.0.1"


def test_trusted_networks_may_be_written_as_mapped_ipv6() -> None:
    """A dual-stack socket's form of an IPv4 network trusts the same proxies."""
    mapped = ClientIdentity(trusted_proxies=(ip_network("::ffff:10.0.0.0/104"),))
    assert mapped.address("10.1.2.3", [(XFF, "203.0.113.7")]) == ip_address("203.0.113.7")
    wide = ClientIdentity(trusted_proxies=(ip_network("::/0"),))
    assert wide.address("fd00::1", [(XFF, "203.0.113.7")]) == ip_address("203.0.113.7")
    assert wide.address("10.1.2.3", [(XFF, "203.0.113.7")]) == ip_address("10.1.2.3")


@pytest.mark.parametrize(
    "options",
    [
        {name: value}
        for name in ("ipv4_prefix", "ipv6_prefix")
        for value in (0, 129, -1, True, "56", None)
    ],
)
def test_a_prefix_out_of_range_is_refused(options: dict[str, Any]) -> None:
    """Options check themselves: a prefix of 0 would make one caller of all."""
    with pytest.raises(ValueError, match="prefix must be a whole number from 1"):
        ClientIdentity(**options)


@pytest.mark.parametrize("proxies", ["10.0.0.0/8", ("10.0.0.0/8",), (ip_address("10.0.0.1"),)])
def test_trusted_proxies_must_be_networks(proxies: Any) -> None:
    """Text is refused: a misread network would trust the wrong hosts."""
    with pytest.raises(TypeError, match=r"ipaddress\.ip_network"):
        ClientIdentity(trusted_proxies=proxies)
