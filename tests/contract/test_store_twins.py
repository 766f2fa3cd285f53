"""The embedded store and Redis side by side: on any sequence of steps both give the same answers, and know the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.alerts import Deed, Severity, StandingAlert, What
from shared.domain import Decision, Outcome, PartAnnouncement
from shared.errors import StoreError
from shared.evidence import Why
from shared.ledger.chain import LedgerRecord, decision_bytes, first_link, next_link
from shared.review import Case, Said, Standing, set_aside, settled, with_word
from shared.store.base import Alert, Entry, Feed, LeaseRecord, Reader
from tests.contract.test_evidence_store import evidence
from tests.contract.test_store_live import EARLY, EARLY_NS, LATE, LATE_NS
from tests.contract.test_store_live import decision as decided
from tests.stores import GONE, LINE, Rig, change

PARTS: Final = ("p1", "a:b")
READERS: Final = (Reader("console"), Reader("console", "second"), Reader("archive"))
ROOM_BYTES: Final = 4_000
REVIEW_BYTES: Final = 3_000

parts = st.sampled_from(PARTS)
outcomes = st.sampled_from(list(Outcome))
times = st.sampled_from([EARLY_NS, LATE_NS])
tokens = st.sampled_from([None, None, None, 1, 2])
cameras = st.sampled_from(["left", "right"])
sizes = st.sampled_from([10, 900, 1_500, 3_500])
labels = st.sampled_from([None, "good", "scratch"])
readers = st.sampled_from(READERS)
feeds = st.sampled_from(list(Feed))
few = st.integers(1, 3)
names = st.sampled_from(["one", "two"])
values = st.sampled_from([b"", b"x", b"y"])
places = st.sampled_from(["", "next", "next", "stale"])
settle = st.tuples(st.just("settle"), parts, outcomes, times, labels, tokens, places)
tell = st.tuples(st.just("tell"), parts)
deciding = st.one_of(
    st.tuples(st.just("announce"), parts, times),
    st.tuples(st.just("claim"), parts, outcomes, times, tokens),
    settle,
    st.tuples(st.just("published"), parts),
    st.tuples(st.just("restore"), st.lists(st.tuples(parts, outcomes, times), max_size=3), tokens),
    st.tuples(st.just("lease"), names, st.integers(1, 2), st.booleans()),
    st.tuples(st.just("expire"), parts),
)
reading = st.one_of(
    settle,
    tell,
    st.tuples(st.just("read"), feeds, readers, few),
    st.tuples(st.just("read"), feeds, readers, few),
    st.tuples(st.just("finish"), feeds, readers, few),
)
looking = st.one_of(
    st.tuples(st.just("picture"), parts, cameras, sizes),
    st.tuples(st.just("evidence"), parts, cameras, sizes, times, st.booleans()),
    st.tuples(st.just("evidence"), parts, cameras, sizes, times, st.booleans()),
    st.tuples(st.just("say"), parts, times),
    st.tuples(st.sampled_from(["dismiss", "drop", "aside"]), parts),
    st.just(("fade",)),
)
keeping = st.one_of(
    tell,
    st.tuples(st.just("deed"), st.sampled_from(list(What)), names, st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("keep"), names, values, values, st.booleans()),
    st.tuples(st.just("hold"), names, st.booleans()),
    st.tuples(st.just("release"), names),
)
courses = st.one_of(
    # Steps that concern each other, so that a course has many of them; and all of them together.
    *(st.lists(steps, max_size=40) for steps in (deciding, looking, looking, reading, keeping)),
    st.lists(st.one_of(deciding, looking, reading, keeping), max_size=60),
)


class Twin:
    """One of the two, and what whoever works with it knows."""

    def __init__(self, url: str) -> None:
        self.rig = Rig(url)
        change(self.rig.store, self.rig.other, picture_bytes=ROOM_BYTES, review_bytes=REVIEW_BYTES, review_cases=2)
        self.cases: dict[str, Case] = {}
        self.said = 0
        self.given: dict[tuple[Feed, Reader], list[str]] = {}

    async def play(self, step: tuple[Any, ...]) -> object:
        """Do one thing, and return what is said to it, without the names that each store gives its entries."""
        kind, *args = step
        try:
            return await getattr(self, f"_{kind}")(*args)
        except StoreError as error:
            return type(error), str(error)

    async def known(self) -> dict[str, object]:
        """Return all that can be asked."""
        store = self.rig.other
        return {
            "counters": await store.counters(LINE),
            "shifts": [await store.shift_counters(LINE, shift) for shift in (EARLY, LATE)],
            "lease": await store.lease(LINE),
            "head": await store.ledger_head(LINE),
            "records": [await store.ledger_record(LINE, name) for name in PARTS],
            "decided": await store.decided(LINE, PARTS),
            "decisions": await store.decisions(LINE, newest=5),
            "entries": [one.value for one in await store.decision_entries(LINE, most=50)],
            "alerts": await store.alerts(LINE, newest=9),
            "board": await store.standing_alerts(LINE),
            "handling": await store.alert_handling(LINE),
            "deeds": await store.alert_deeds(LINE, newest=9),
            "lag": [await store.lag(LINE, feed, reader) for feed in Feed for reader in READERS],
            "pictures": [await store.picture(LINE, name, camera) for name in PARTS for camera in ("left", "right")],
            "evidence": [await store.evidence(LINE, name) for name in PARTS],
            "covers": await store.evidence_covers(LINE, PARTS),
            "parts": await store.evidence_parts(LINE, newest=9),
            "exhibits": await store.exhibits(LINE),
            "cases": sorted(await store.review_cases(LINE), key=lambda case: case.name),
            "steps": await store.review_steps(LINE, newest=50),
            "kept": [await store.kept(name) for name in ("one", "two")],
            "notes": [await store.notes(name, newest=9) for name in ("one", "two")],
            "held": [await store.held(name) for name in ("one", "two")],
        }

    async def _announce(self, part_id: str, at_ns: int) -> object:
        return await self.rig.store.announce(PartAnnouncement(LINE, part_id, ("top",), at_ns, at_ns + 1))

    async def _claim(self, part_id: str, outcome: Outcome, at_ns: int, token: int | None) -> object:
        return await self.rig.store.claim(decided(part_id, outcome, at_ns=at_ns), token=token)

    async def _settle(  # noqa: PLR0917 - a drawn step
        self, part_id: str, outcome: Outcome, at_ns: int, label: str | None, token: int | None, place: str
    ) -> object:
        decision = replace(decided(part_id, outcome, at_ns=at_ns), label=label)
        data, head = decision_bytes(decision), await self.rig.store.ledger_head(LINE)
        before = None if head is None else head.link
        link = first_link(data, began_ns=7, origin="größer") if before is None else next_link(before, data)
        return await self.rig.store.settle(
            decision,
            latency_ms=12.5,
            unconfirmed=label == "good",
            link=link if place else None,
            instead_of=link if place == "stale" else before,
            token=token,
        )

    async def _published(self, part_id: str) -> None:
        await self.rig.store.published(LINE, part_id)

    async def _restore(self, lost: list[tuple[str, Outcome, int]], token: int | None) -> object:
        found = [decided(part_id, outcome, at_ns=at_ns) for part_id, outcome, at_ns in lost]
        stamped = [replace(one, stamps_ns={"signalled": one.captured_at_ns + 9_000_000}) for one in found]
        return await self.rig.store.restore([LedgerRecord(decision_bytes(one), None) for one in stamped], token=token)

    async def _lease(self, holder: str, token: int, stale: bool) -> object:
        stands = await self.rig.store.lease(LINE)
        to = LeaseRecord(holder, token, 0 if stands is None else stands.beat + 1)
        return await self.rig.store.move_lease(LINE, to, instead_of=to if stale else stands)

    async def _expire(self, part_id: str) -> None:
        await self.rig.inside.forget("part", part_id)

    async def _fade(self) -> None:
        """Let the oldest thing of the room expire: all have the same time to live."""
        for name in await self.rig.inside.sizes("pictures"):
            kind, _, of = name.partition(":")
            names = of.rsplit(":", 1) if kind == "picture" else [of]
            if await self.rig.inside.ttl_s(kind, *names) != GONE:
                await self.rig.inside.forget(kind, *names)
                return

    async def _tell(self, part_id: str) -> None:
        alert = Alert(LINE, "REJECT", "score 4", part_id)
        standing = StandingAlert(LINE, "REJECT", part_id, Severity.INFO, "score 4", 1, 1)
        await self.rig.store.put_alert(standing, told=alert)

    async def _read(self, feed: Feed, reader: Reader, most: int) -> object:
        store = self.rig.store
        found: list[Entry[Any]] = []
        found += await (store.next_decisions if feed is Feed.DECISIONS else store.next_alerts)(LINE, reader, most=most)
        given = self.given.setdefault((feed, reader), [])
        given += [entry.id for entry in found if entry.id not in given]
        return [entry.value for entry in found]

    async def _finish(self, feed: Feed, reader: Reader, most: int) -> None:
        given = self.given.get((feed, reader), [])
        await self.rig.store.finished(LINE, feed, reader, given[:most])
        del given[:most]

    async def _picture(self, part_id: str, camera: str, size: int) -> None:
        await self.rig.store.put_picture(LINE, part_id, camera, bytes(size))

    async def _evidence(self, part_id: str, camera: str, size: int, at_ns: int, instead: bool) -> object:
        seen = evidence(part_id, picture=bytes(size))
        return await self.rig.store.put_evidence(_rejected(part_id, at_ns), Why.REJECTED, camera, seen, instead=instead)

    async def _say(self, part_id: str, at_ns: int) -> object:
        self.said += 1
        case = with_word(None, _rejected(part_id, at_ns), Said.OVERKILL, who="anna", why="dust", at_ns=self.said)
        done = await self.rig.store.put_case(case, instead_of=self.cases.get(part_id))
        self.cases[part_id] = case
        return done

    async def _dismiss(self, part_id: str) -> object:
        case = self.cases.get(part_id)
        if case is None:
            return None
        self.cases[part_id] = settled(case, Standing.DISMISSED, who="eve", why="seen", at_ns=self.said)
        return await self.rig.store.put_case(self.cases[part_id], instead_of=case)

    async def _drop(self, part_id: str) -> object:
        case = self.cases.pop(part_id, None)
        return case is not None and await self.rig.store.drop_case(case)

    async def _aside(self, part_id: str) -> object:
        case = self.cases.pop(part_id, None)
        return case is not None and await self.rig.store.move_case(set_aside(case), instead_of=case)

    async def _deed(self, what: What, key: str, at_ns: int, until_ns: int) -> None:
        await self.rig.store.handle_alert(LINE, Deed(what, key, "anna", "seen", at_ns, until_ns=until_ns))

    async def _keep(self, name: str, value: bytes, before: bytes, noted: bool) -> object:
        return await self.rig.store.keep(name, value, instead_of=before or None, noted=noted)

    async def _hold(self, name: str, again: bool) -> object:
        return await self.rig.store.hold(name, b"session", ttl_s=60, again=again)

    async def _release(self, name: str) -> object:
        return await self.rig.store.release(name)


def _rejected(part_id: str, at_ns: int) -> Decision:
    return decided(part_id, Outcome.REJECT, at_ns=at_ns)


SAY = ("say", "p1", EARLY_NS)
SEEN = ("evidence", "p1", "left", 900, EARLY_NS, True)
NEWER = ("evidence", "p1", "right", 900, LATE_NS, False)


@pytest.mark.redis
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(courses)
@example([SEEN, SAY, NEWER, ("dismiss", "p1"), ("evidence", "p1", "right", 900, EARLY_NS, True)])
@example([SAY, ("say", "a:b", EARLY_NS), ("aside", "p1"), SAY, ("drop", "a:b"), SAY])
@example([SAY, NEWER, SEEN, SAY, ("aside", "p1"), ("say", "p1", LATE_NS), ("drop", "p1"), NEWER])
@example([("lease", "one", 1, False), ("claim", "p1", Outcome.PASS, EARLY_NS, 2), ("restore", [], 2)])
def test_both_stores_say_and_know_the_same(redis_url: str, steps: list[tuple[Any, ...]]) -> None:
    """Each answer and each refusal, and at the end all that can be asked of either."""

    async def play() -> None:
        twins = [Twin("memory://"), Twin(redis_url)]
        try:
            for step in steps:
                embedded, redis = [await twin.play(step) for twin in twins]
                assert embedded == redis, step
            embedded, redis = [await twin.known() for twin in twins]
            assert embedded == redis
        finally:
            for twin in twins:
                await twin.rig.close()

    asyncio.run(play())
