"""How long somebody who guesses passwords has to wait: longer each time, and nobody else with them. Pure.

What is counted depends on who tries. A browser that its user signed in with before is counted for itself alone: others
who guess, be it from the same address, do not keep its user out. All others are counted by user and address, by
address, and, with much more patience, by user.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from shared.clock import NS_PER_S

FREE: Final = 4
"""So many wrong passwords cost nothing: people mistype."""
FREE_ADDRESS: Final = 20
"""So many from one address: there may be a proxy, and a shift behind it."""
FREE_USER: Final = 100
"""So many of one user from anywhere."""
LONGEST_S: Final = 300
_LONGEST_USER_S: Final = 30
_FORGIVEN_USER_NS: Final = 120 * NS_PER_S
_FORGOTTEN_NS: Final = 3_600 * NS_PER_S
_MOST: Final = 10_000
_SITE_BITS: Final = 64
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """How many failures are free, how long a wait gets, and after what time one is taken back (0: never)."""

    free: int
    longest_s: int = LONGEST_S
    forgiven_ns: int = 0


_RULES: Final = {
    "browser": _Rule(FREE),
    "both": _Rule(FREE),
    "address": _Rule(FREE_ADDRESS),
    "user": _Rule(FREE_USER, _LONGEST_USER_S, _FORGIVEN_USER_NS),
}


@dataclass(frozen=True, slots=True)
class _Tries:
    failed: float
    last_ns: int


def keys_of(user: str, address: str, *, browser: str = "") -> tuple[_Key, ...]:
    """Return what a try is counted under; `browser` names one that this user signed in with before."""
    if browser:
        return (("browser", browser),)
    site = _site(address)
    return (("both", user, site), ("address", site), ("user", user))


class LoginGuard:
    """Counts failures; of too many keys the oldest are forgotten."""

    def __init__(self) -> None:
        self._tries: OrderedDict[_Key, _Tries] = OrderedDict()

    def wait_s(self, keys: tuple[_Key, ...], now_ns: int) -> float:
        """Return how many seconds are left before another try is looked at; 0 for none."""
        return max((self._left_s(key, now_ns) for key in keys), default=0.0)

    def failed(self, keys: tuple[_Key, ...], now_ns: int) -> None:
        """Take note of a failure."""
        for key in keys:
            before = self._known(key, now_ns)
            self._tries[key] = _Tries(1 if before is None else before.failed + 1, now_ns)
            self._tries.move_to_end(key)
        while len(self._tries) > _MOST:
            self._tries.popitem(last=False)

    def succeeded(self, keys: tuple[_Key, ...]) -> None:
        """Take back the last failure of each key, which was counted before it was known to be none.

        Earlier ones stay for their time: a guesser may have a login of their own to clear an address with.
        """
        for key in keys:
            known = self._tries.get(key)
            if known is not None:
                self._tries[key] = _Tries(known.failed - 1, known.last_ns)
                if known.failed <= 1:
                    del self._tries[key]

    def _left_s(self, key: _Key, now_ns: int) -> float:
        known, rule = self._known(key, now_ns), _RULES[key[0]]
        if known is None or known.failed < rule.free:
            return 0.0
        wait_s: int = min(rule.longest_s, 2 ** min(int(known.failed) - rule.free, 20))
        return max(0.0, wait_s - (now_ns - known.last_ns) / NS_PER_S)

    def _known(self, key: _Key, now_ns: int) -> _Tries | None:
        known, forgiven_ns = self._tries.get(key), _RULES[key[0]].forgiven_ns
        if known is None or now_ns - known.last_ns > _FORGOTTEN_NS:
            return None
        forgiven = (now_ns - known.last_ns) / forgiven_ns if forgiven_ns else 0
        return _Tries(max(0, known.failed - forgiven), known.last_ns)


def _site(address: str) -> str:
    """Return what one who has an IPv6 address has with it: they choose the lower half."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return str(IPv6Address(int(known) >> _SITE_BITS << _SITE_BITS))
    return str(known)
