"""Which IP addresses belong to the public internet. Python's own `is_global` differs from version to version.

Source: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890), and the RFCs that are named below.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address

_SPECIAL: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's translation
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and where clouds keep their metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
# Everything else of IPv6 is loopback, local, multicast, or nobody's yet.
_GLOBAL_UNICAST: Final = ip_network("2000::/3")

# IPv6 networks whose addresses stand for an IPv4 address, and how many bits lie behind it
_TRANSLATED: Final = tuple(
    (ip_network(text), shift)
    for text, shift in (
        ("::ffff:0:0/96", 0),  # mapped
        ("::/96", 0),  # compatible (RFC 4291)
        ("::ffff:0:0:0/96", 0),  # translated (RFC 2765)
        ("64:ff9b::/96", 0),  # NAT64 (RFC 6052)
        ("64:ff9b:1::/48", 0),  # NAT64 of one's own (RFC 8215)
        ("2002::/16", 80),  # 6to4 (RFC 3056)
    )
)

# Where a machine in a cloud asks for its own credentials. A wide network that is allowed does not mean them.
METADATA: Final = frozenset(
    map(ip_address, ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"))
)


def meant(address: str) -> Address:
    """The IP address that a text means, as connecting would take it: 2130706433, 0x7f.1 and ::ffff:7f00:1 are 127.0.0.1.

    Raises ValueError for a host's name.
    """
    text = address.strip("[]").partition("%")[0]
    try:
        found = ip_address(text)
    except ValueError:
        try:
            found = IPv4Address(socket.inet_aton(text.removesuffix(".")))
        except (OSError, UnicodeError) as error:
            raise ValueError(f"{address!r} is no IP address") from error
    if isinstance(found, IPv6Address) and int(found) > 1:
        for network, shift in _TRANSLATED:
            if found in network:
                return IPv4Address(int(found) >> shift & 0xFFFF_FFFF)
    return found


def is_public(address: Address) -> bool:
    if any(address in network for network in _SPECIAL):
        return False
    return address.version == 4 or address in _GLOBAL_UNICAST


def is_among(address: Address, networks: Iterable[str]) -> bool:
    """Whether one of the networks holds the address. One that clouds keep credentials at must be named by itself."""
    among = [network for network in map(ip_network, networks) if address in network]
    return any(network.num_addresses == 1 for network in among) if address in METADATA else bool(among)
