"""Whether somebody who looks on still may."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from alerting.console.access import find_principal
from alerting.console.accounts import Accounts
from alerting.console.context import Context
from alerting.console.rights import Principal
from shared.clock import NS_PER_S
from shared.errors import StoreError

_RECHECK_NS: Final = 15 * NS_PER_S


class Standing:
    """One open page's: looked at anew where users or tokens were changed, and every 15 s, as use of its session."""

    def __init__(self, request: Request, context: Context) -> None:
        self._request = request
        self._context = context
        self._checked_ns: int = context.clock.monotonic_ns()
        self._accounts: Accounts | None = None

    async def still(self, principal: Principal) -> Principal | None:
        """Return who somebody is by now, as of at most a second ago; None for nobody any more.

        While the store is away they are who they were.
        """
        now_ns = self._context.clock.monotonic_ns()
        try:
            # The same object for all pages, and as long as nothing is changed.
            accounts = await self._context.desk.recent()
            if accounts is self._accounts and now_ns - self._checked_ns <= _RECHECK_NS:
                return principal
            found = await find_principal(self._request, self._context)
        except StoreError:
            return principal
        self._accounts, self._checked_ns = accounts, now_ns
        return None if found is None or found.must_change_password else found
