"""Keep passwords out of everything that is printed."""

from __future__ import annotations

import re

# Up to the last @ before the next address: people leave / and @ in passwords unescaped. That can take a host with it.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<userinfo>(?:(?!://)[^\s\"'<>])*)@")
_QUERY = re.compile(r"(?i)(?P<name>[?&;](?:[\w-]*(?:password|passwd|pwd|secret|token|key))=)[^&\s\"'#]+")


def redact_address(address: str) -> str:
    """Return an address without its user part, however it is written: all from the scheme to the last @ goes."""
    head, at, tail = address.rpartition("@")
    if not at:
        return redact(address)
    scheme = f"{head.split('://', 1)[0]}://" if "://" in head else ""
    return redact(f"{scheme}***@{tail}")


def redact(text: str) -> str:
    """Return `text` with the user part of each address, and each secret query value, replaced by `***`."""
    return _QUERY.sub(r"\g<name>***", _USERINFO.sub(r"\g<scheme>***@", text))
