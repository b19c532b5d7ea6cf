"""Who a request is from, as far as that can be believed."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias, get_args

from socialflow_core._kit.grammar import Network

from ._keys import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ClientIdentity"]

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Headers are the caller's to fill: nobody chains more proxies, nothing genuine is longer.
_MOST_HOPS = 32
_MOST_ENTRY = 512
_REMEMBERED = 4096

# An address as peers, X-Forwarded-For and Forwarded write it: [v6]:port, v4:port or bare.
# RFC 7239 also allows a port that hides itself: _name.
_NODE = re.compile(
    r"(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?", re.ASCII
)
_PAIR = re.compile(
    r"""(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)=
        (?:"(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<bare>[^\s",;\\]*))
        [ \t]*(?:;[ \t]*|$)""",
    re.ASCII | re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientIdentity:
    """How callers are told apart: by user, else by address.

    What `X-Forwarded-For` or `Forwarded` (RFC 7239) say is believed only as far as
    trusted proxies wrote it: from the right, up to the first address that is not a
    trusted proxy. An entry that names no address (malformed, `unknown`, `_hidden`)
    ends the reading: the proxy that wrote it is the client. So it is, too, when both
    headers are there and do not name the same client, for then one of them may have
    come through a proxy that writes only the other.

    Attributes:
        trusted_proxies: The networks of your own proxies.
        trust_local_socket: Whether a peer without an address, as behind a Unix socket,
            is a trusted proxy. Otherwise all such callers share one counter.
        ipv4_prefix: Bits of an IPv4 address that tell callers apart.
        ipv6_prefix: Bits of an IPv6 address that do. A household gets a /56 to /64, so
            whole addresses would give one caller as many counters as it likes.

    Raises:
        ValueError: If a prefix is not in 1-32 and 1-128.
        TypeError: If *trusted_proxies* is not made of `ipaddress` networks.

    >>> identity = ClientIdentity(trusted_proxies=(ipaddress.ip_network("10.0.0.0/8"),))
    >>> identity.key("10.0.0.1", [("X-Forwarded-For", "1.1.1.1, 203.0.113.7")])
    '2:ip,14:203.0.113.7/32'
    """

    trusted_proxies: tuple[Network, ...] = ()
    trust_local_socket: bool = False
    ipv4_prefix: int = 32
    ipv6_prefix: int = 56

    def __post_init__(self) -> None:
        for name, most in (("ipv4_prefix", 32), ("ipv6_prefix", 128)):
            prefix = getattr(self, name)
            if not isinstance(prefix, int) or isinstance(prefix, bool) or not 1 <= prefix <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}")
        networks = tuple(self.trusted_proxies)
        if not all(isinstance(each, get_args(Network)) for each in networks):
            raise TypeError("trusted_proxies must hold networks: ipaddress.ip_network(...)")
        object.__setattr__(self, "trusted_proxies", tuple(map(_unmapped, networks)))

    def key(
        self,
        peer: str | None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        user: str | None = None,
    ) -> str:
        """The limiter's key for the caller.

        Args:
            peer: The other end of the connection: an address, with or without port, or
                None or anything else if it has none.
            headers: The request's headers in their order, read only if *peer* is trusted.
            user: Who the caller has proved to be; empty is nobody.
        """
        if user:
            return key_of("user", user)
        address = self.address(peer, headers)
        if address is None:
            return key_of("ip", "unknown")
        version4 = isinstance(address, ipaddress.IPv4Address)
        return _network_key(address, self.ipv4_prefix if version4 else self.ipv6_prefix)

    def address(self, peer: str | None, headers: Iterable[tuple[str, str]] = ()) -> _Address | None:
        """The caller's own address, as far as it can be believed; None if it has none."""
        nearest = _address(peer or "")
        if not self._trusts(nearest):
            return nearest
        lines: dict[str, list[str]] = {"x-forwarded-for": [], "forwarded": []}
        for name, value in headers:
            if (known := name.lower()) in lines:
                lines[known].append(value)
        claims = {
            self._walk(nearest, map(read, _hops(lines[name])))
            for name, read in (("x-forwarded-for", _address), ("forwarded", _forwarded_for))
            if lines[name]
        }
        return claims.pop() if len(claims) == 1 else nearest

    def _walk(self, nearest: _Address | None, hops: Iterable[_Address | None]) -> _Address | None:
        """Follow *hops* outwards, each as told by the one before it, while that is trusted."""
        client = nearest
        for hop in hops:
            if hop is None:
                break
            client = hop
            if not self._trusts(hop):
                break
        return client

    def _trusts(self, address: _Address | None) -> bool:
        if address is None:
            return self.trust_local_socket
        return any(address in network for network in self.trusted_proxies)


def _hops(lines: list[str]) -> Iterator[str]:
    """The entries of a list header, the nearest proxy's first.

    Commas are taken as separators inside quotes too: what is then cut out of a quoted
    text has a lone quote and is malformed, while pairing quotes from the left would let
    a caller's lone quote swallow what the proxies appended.
    """
    entries = (
        entry for line in reversed(lines) for entry in reversed(line.rsplit(",", _MOST_HOPS))
    )
    return (entry.strip(" \t") for entry in islice(entries, _MOST_HOPS))


def _forwarded_for(element: str) -> _Address | None:
    """The address in an element of `Forwarded`: `for="[2001:db8::1]:80";proto=https`."""
    named: list[str] = []
    at = 0
    while at < len(element) <= _MOST_ENTRY:
        pair = _PAIR.match(element, at)
        if not pair:
            return None
        if pair["name"].lower() == "for":
            named.append(pair["quoted"] or pair["bare"] or "")
        at = pair.end()
    return _address(named[0]) if len(named) == 1 else None


def _address(text: str) -> _Address | None:
    return None if len(text) > _MOST_ENTRY else _parsed(text)


# The same callers come again and again, and reading an address takes longer than judging a hit.
@lru_cache(maxsize=_REMEMBERED)
def _parsed(text: str) -> _Address | None:
    node = _NODE.fullmatch(text)
    bare = (node["v6"] or node["v4"] or "") if node else text
    # A zone names an interface of this machine, not another caller.
    bare = bare.partition("%")[0]
    try:
        if ":" not in bare:
            return ipaddress.IPv4Address(bare)
        address = ipaddress.IPv6Address(bare)
    except ValueError:
        return None
    return address.ipv4_mapped or address


@lru_cache(maxsize=_REMEMBERED)
def _network_key(address: _Address, prefix: int) -> str:
    hidden = address.max_prefixlen - prefix
    network = type(address)(int(address) >> hidden << hidden)
    return key_of("ip", f"{network}/{prefix}")


def _unmapped(network: Network) -> Network:
    """*network* as addresses are compared with it: IPv4 also where written as mapped IPv6."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    # ::ffff:0:0/96 holds the mapped addresses; a wider network holds others too.
    if mapped is None or network.prefixlen < 96:  # noqa: PLR2004 -- see above
        return network
    return ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
