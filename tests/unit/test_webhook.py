from __future__ import annotations

import asyncio
import hmac
import inspect
import json
import random
from itertools import pairwise
from typing import TYPE_CHECKING

import httpx2
import pytest
from structlog.testing import capture_logs

from alerting.signals.http import MAPPED, HttpPoster
from alerting.signals.webhook import Webhook, signature
from shared.clock import NS_PER_S, ManualClock
from shared.domain import Decision, Outcome
from shared.errors import ConfigError, SignalUnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = b"what only the receiver knows"


class ScriptedPoster:
    """A receiver that answers as told, one after the other, and then always 200; None is no answer."""

    def __init__(self, clock: ManualClock, *answers: int | None) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.got: list[tuple[float, bytes, dict[str, str]]] = []

    async def post(self, body: bytes, headers: Mapping[str, str]) -> int:
        """Answer."""
        self.got.append((self._clock.monotonic_ns() / NS_PER_S, body, dict(headers)))
        answer = self._answers.pop(0) if self._answers else 200
        if answer is None:
            raise SignalUnreachableError("nobody is there")
        return answer

    async def close(self) -> None:
        """Do nothing."""


def decision(number: int) -> Decision:
    """Make a decision."""
    return Decision("line", f"p{number}", Outcome.REJECT, "score", 2.0, (), 1, 2, 3)


async def sent(poster: ScriptedPoster, clock: ManualClock, count: int, **options: float) -> Webhook:
    """Offer decisions to a webhook and let it work for an hour."""
    webhook = Webhook(poster, clock, secret=SECRET, chance=random.Random(1), **options)  # type: ignore[arg-type]  # noqa: S311
    running = asyncio.create_task(webhook.run())
    for number in range(count):
        webhook.offer(decision(number))
    await clock.advance(3_600)
    running.cancel()
    return webhook


async def test_each_decision_is_posted_once_in_order_and_signed() -> None:
    """The receiver can check who sent a body and when, and tell repeats by the delivery's name."""
    clock = ManualClock()
    poster = ScriptedPoster(clock)
    webhook = await sent(poster, clock, 3)
    assert [json.loads(body)["decision"]["part_id"] for _, body, _ in poster.got] == ["p0", "p1", "p2"]
    for _, body, headers in poster.got:
        stamp = headers["Linewarden-Timestamp"]
        expected = hmac.new(SECRET, stamp.encode() + b"." + body, "sha256").hexdigest()
        assert headers["Linewarden-Signature"] == f"v1={expected}"
    assert len({headers["Linewarden-Delivery"] for _, _, headers in poster.got}) == 3
    assert webhook.delivered == 3


def test_the_signature_is_pinned() -> None:
    """A receiver that was written once can rely on it."""
    assert signature(b"key", 1_700_000_000, b"{}") == ("v1=" + hmac.new(b"key", b"1700000000.{}", "sha256").hexdigest())


async def test_pauses_double_with_jitter_and_have_a_bound() -> None:
    """A receiver that is down is not hammered, and not forgotten."""
    clock = ManualClock()
    poster = ScriptedPoster(clock, *[None] * 9)
    webhook = await sent(poster, clock, 1, longest_pause_s=8.0)
    times = [at_s for at_s, _, _ in poster.got]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for pause, longest in zip(pauses, [0.5, 1, 2, 4, 8, 8, 8, 8, 8], strict=True):
        assert longest / 2 <= pause <= longest
    assert webhook.delivered == 1


@pytest.mark.parametrize(("status", "posts"), [(500, 2), (503, 2), (429, 2), (408, 2), (400, 1), (401, 1), (302, 2)])
async def test_only_what_may_pass_is_tried_again(status: int, posts: int) -> None:
    """A receiver that refuses a body would refuse it again; one that is busy may not."""
    clock = ManualClock()
    poster = ScriptedPoster(clock, status)
    await sent(poster, clock, 1)
    assert len(poster.got) == posts


async def test_a_dead_receiver_costs_its_own_deliveries_only() -> None:
    """A delivery ends after its tries, and the next one has its own."""
    clock = ManualClock()
    poster = ScriptedPoster(clock, None, None, None)
    webhook = await sent(poster, clock, 2, tries=3)
    assert (webhook.given_up, webhook.delivered) == (1, 1)


async def test_a_full_queue_drops_the_newest_and_counts_it() -> None:
    """What waits keeps its place, nobody waits for the receiver, and no secret is logged."""
    clock = ManualClock()
    poster = ScriptedPoster(clock)
    with capture_logs() as logs:
        webhook = await sent(poster, clock, 5, queue=2)
    assert [json.loads(body)["decision"]["part_id"] for _, body, _ in poster.got] == ["p0", "p1"]
    assert webhook.dropped == 3
    assert SECRET.decode() not in str(logs)


def test_every_httpx_exception_is_mapped() -> None:
    """A release of httpx2 with a new kind of exception fails here, not in a plant."""
    kinds = [kind for _, kind in inspect.getmembers(httpx2, inspect.isclass) if issubclass(kind, Exception)]
    assert [kind for kind in kinds if not issubclass(kind, MAPPED)] == []


async def test_no_answer_is_unreachable_and_its_error_names_no_secret() -> None:
    """Passwords and tokens in the address stay out of errors."""

    def refuse(_request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route")

    url = "https://me:pw@host/hook?token=xyz"
    poster = HttpPoster(url, transport=httpx2.MockTransport(refuse))
    with pytest.raises(SignalUnreachableError) as raised:
        await poster.post(b"{}", {})
    assert "pw" not in str(raised.value)
    assert "xyz" not in str(raised.value)
    await poster.close()
    with pytest.raises(ConfigError, match="https://HOST/PATH"):
        HttpPoster("ftp://host")


async def test_the_body_and_headers_reach_the_receiver_and_redirects_are_not_followed() -> None:
    """A signed body is for one address."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(302, headers={"Location": "https://elsewhere/"})

    poster = HttpPoster("https://host/hook", transport=httpx2.MockTransport(answer))
    assert await poster.post(b"body", {"Linewarden-Timestamp": "1"}) == 302
    await poster.close()
    assert [(request.content, request.headers["linewarden-timestamp"]) for request in seen] == [(b"body", "1")]
