"""Keep passwords out of everything that is printed."""

from __future__ import annotations

import re

# Up to the last @ before the next address: people leave / and @ in passwords unescaped. That can take a host with it.
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<userinfo>(?:(?!://)[^\s\"'<>])*)@")
# Some cameras have the login in the path: /user=admin_password=..._channel=1.
_QUERY = re.compile(
    r"(?i)(?P<name>[?&;/_](?:[\w-]*(?:password|passwd|passphrase|pass|pwd|psw|pw|secret|token|key|auth))=)[^&\s\"'#]+"
)
_STREAMS = frozenset({"rtsp", "rtsps", "http", "https"})


def redact_address(address: str) -> str:
    """Return an address without its user part, however it is written: all from the scheme to the last @ goes.

    Of a stream the query goes too, and all behind the first = of its path: cameras take logins there, by any name.
    """
    head, at, tail = address.rpartition("@")
    scheme, colon, rest = (head if at else address).partition("://")
    if not colon:
        scheme, rest = "", head if at else address
    shown = f"{scheme}{colon}***@" if at else f"{scheme}{colon}"
    rest = tail if at else rest
    if scheme.lower() in _STREAMS:
        rest, query, _ = rest.partition("?")
        where, slash, path = rest.partition("/")
        path, equals, _ = path.partition("=")
        rest = f"{where}{slash}{path}{equals and '=***'}{query and '?***'}"
    return redact(f"{shown}{rest}")


def redact(text: str) -> str:
    """Return `text` with the user part of each address, and each secret query value, replaced by `***`."""
    return _QUERY.sub(r"\g<name>***", _USERINFO.sub(r"\g<scheme>***@", text))
