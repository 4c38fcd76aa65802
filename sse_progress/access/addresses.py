"""Which part of a client's address stands for one client."""

from __future__ import annotations

import ipaddress

__all__ = ["network"]


def network(address: str) -> str:
    """An address of IPv4; the /64 of IPv6, which is what one customer gets; else `other`."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "other"  # a unix socket, or something that a proxy made up
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((int(ip), 64), strict=False))
