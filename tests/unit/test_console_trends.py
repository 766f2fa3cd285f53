"""The console's trends: of the shift, of longer where a ledger is there, and what the charts draw of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from alerting.console import charts
from alerting.console.context import make_context
from alerting.console.trends_desk import TrendsDesk
from alerting.trends.drift import Drift
from alerting.trends.pareto import bars
from alerting.trends.parts import parts_of
from alerting.trends.rates import groups, reject_chart
from alerting.trends.reading import Read
from shared.clock import NS_PER_S
from shared.domain import Decision, Outcome
from shared.errors import BusUnavailableError, ConfigError
from tests.consoles import LINE, OTHER, Hall, console_settings, decision, hall

TRENDS = f"/api/v1/lines/{LINE}/trends"
PAGE = f"/lines/{LINE}/trends"
T0_NS = 1_700_000_000 * NS_PER_S


class KeptHistory:
    """Has decided parts, counts how often it is asked, and can be away."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = decisions
        self.asked: list[tuple[str, int, int]] = []
        self.away = False

    async def read(self, line: str, *, since_ns: int, most: int) -> Read:
        """Return those since an instant."""
        if self.away:
            raise BusUnavailableError("Kafka at 10.9.8.7:9092 does not answer")
        self.asked.append((line, since_ns, most))
        found = [one for one in self.decisions if one.captured_at_ns >= since_ns]
        return Read(parts_of(found), "a kept history", whole=True)


async def a_shift(opened: Hall, count: int = 60) -> None:
    """Let parts be decided, one each two seconds, every sixth a reject on the top right."""
    for index in range(count):
        rejected = index % 6 == 5
        place = (0.9, 0.1) if rejected else None
        outcome = Outcome.REJECT if rejected else Outcome.DEFAULT_REJECT if index == 7 else Outcome.PASS
        await opened.settle(f"p{index}", outcome, score=3.0 if rejected else 0.1 + index % 9 / 10, place=place)
        await opened.clock.advance(2)


async def test_the_shift_is_told_from_the_store() -> None:
    """Rates with limits, drift, where rejects come from, and times."""
    async with hall() as opened:
        await a_shift(opened)
        told = (await (await opened.signed_in("viewer")).get(TRENDS)).json()
        assert (told["source"], told["whole"], told["shift"]["settled"]) == ("store", True, 60)
        assert (told["rejected"], told["defaulted"], told["passed"]) == (10, 1, 49)
        assert told["by_place"][0]["name"] == "top: top right"
        assert told["delays"]["p99_ms"] == pytest.approx(62.0)
        assert sum(point["parts"] for point in told["reject_chart"]["points"]) == 60
        assert {one["camera"] for one in told["drifts"]} == {"top", "side"}


async def test_the_page_has_a_table_for_each_chart() -> None:
    """And each chart a name, for those who do not see it; nothing of it comes from elsewhere."""
    async with hall() as opened:
        await a_shift(opened)
        page = (await (await opened.signed_in("viewer")).get(PAGE)).text
        assert page.count('<svg class="chart"') == 3 + 2 + 3
        assert page.count("the table has its numbers") == 8
        assert "top: top right" in page
        assert "style=" not in page
        assert "http" not in page.replace("https://", "").split("<body", 1)[1]
        for chart in re.findall(r"<svg class=\"chart\".*?</svg>", page, re.DOTALL):
            ET.fromstring(chart)  # noqa: S314 - it is of our own making
        nothing = (await (await opened.signed_in("viewer", "bert")).get(f"/lines/{OTHER}/trends")).text
        assert "No part was decided in this time" in nothing


async def test_longer_is_read_from_the_ledger_where_there_is_one() -> None:
    """The page offers it then alone; a length that is none, or too long, is refused."""
    async with hall() as opened:
        await a_shift(opened, 3)
        viewer = await opened.signed_in("viewer")
        answer = await viewer.get(TRENDS, params={"since": "7d"})
        assert answer.status_code == 422
        assert "current shift alone" in answer.json()["error"]
        assert "since=7d" not in (await viewer.get(PAGE)).text
        history = KeptHistory([decision("old", Outcome.REJECT, at_ns=opened.at.utc_ns() - 3_600 * NS_PER_S)])
        with_ledger = make_context(opened.settings, store=opened.store, clock=opened.at, history=history)
        opened.app.state.context = with_ledger
        assert "since=7d" in (await viewer.get(PAGE)).text
        told = (await viewer.get(TRENDS, params={"since": "7d"})).json()
        assert (told["source"], told["parts"], told["shift"]) == ("a kept history", 1, None)
        assert (await viewer.get(PAGE, params={"since": "7d"})).status_code == 200
        for since in ("32d", "7w", "7", "-1d", "999999d", "\u0667d"):
            assert (await viewer.get(TRENDS, params={"since": since})).status_code == 422
        history.away = True
        await opened.clock.advance(10)
        for path in (TRENDS, PAGE):
            gone = await viewer.get(path, params={"since": "7d"})
            assert gone.status_code == 503
            assert "10.9.8.7" not in gone.text


async def test_many_who_ask_are_told_what_was_read_once() -> None:
    """For five seconds, and of each line and time by itself."""
    async with hall() as opened:
        history = KeptHistory([])
        desk = TrendsDesk(opened.store, opened.clock, history)
        line, other = opened.settings.lines
        reports = await asyncio.gather(*(desk.report(line, "8h") for _ in range(10)))
        assert len({id(report) for report in reports}) == 1
        assert len(history.asked) == 1
        await desk.report(other, "8h")
        await desk.report(line, "24h")
        assert len(history.asked) == 3
        await opened.clock.advance(6)
        await desk.report(line, "8h")
        assert len(history.asked) == 4
        with pytest.raises(ConfigError, match="too long"):
            await desk.report(line, "32d")


async def test_trends_of_another_line_are_not_there() -> None:
    """By name or in the choice of lines; one who sees one line comes to it at once."""
    async with hall() as opened:
        browser = await opened.signed_in(f"{LINE}=viewer")
        assert (await browser.get("/trends")).headers["location"] == PAGE
        for path in (f"/api/v1/lines/{OTHER}/trends", f"/lines/{OTHER}/trends"):
            assert (await browser.get(path)).status_code == 404
        both = await opened.signed_in("viewer", "bert")
        assert OTHER in (await both.get("/trends")).text


async def test_parts_and_alerts_are_filtered_by_the_region_of_the_defect() -> None:
    """By the page and by the API; a ninth that is none is refused."""
    async with hall(console_settings(cameras=("top",))) as opened:
        await opened.settle("corner", Outcome.REJECT, score=3.0, place=(0.9, 0.1))
        await opened.settle("middle", Outcome.REJECT, score=3.0, place=(0.5, 0.5))
        await opened.settle("nowhere", Outcome.REJECT, score=3.0)
        viewer = await opened.signed_in("viewer")
        parts = f"/api/v1/lines/{LINE}/parts"
        for place, part_id in (("top right", "corner"), ("middle", "middle"), ("no region", "nowhere")):
            found = (await viewer.get(parts, params={"outcome": "REJECT", "place": place})).json()
            assert [one["part_id"] for one in found] == [part_id]
            page = (await viewer.get("/alerts", params={"place": place})).text
            assert f">{part_id}</a>" in page
            assert page.count('<span class="letter"') == 1
        assert (await viewer.get(parts, params={"place": "elsewhere"})).status_code == 422
        empty = {"line": "", "camera": "", "severity": "", "place": "", "min_score": ""}
        assert (await viewer.get("/alerts", params=empty)).text.count('<span class="letter"') == 3


def test_a_point_outside_of_its_limits_is_drawn_otherwise() -> None:
    """Higher than the upper limit's line, and marked; others within."""
    made = [
        decision(f"p{index}", Outcome.REJECT if index // 100 == 7 and index % 3 == 0 else
                 Outcome.REJECT if index % 20 == 0 else Outcome.PASS, at_ns=T0_NS + index * NS_PER_S // 10)
        for index in range(1_000)
    ]  # fmt: skip
    found = groups(parts_of(made), 10)
    chart = charts.rate_chart(reject_chart(found), 10)
    odd = [mark for mark in chart.marks if mark.odd]
    assert len(odd) == 1
    assert odd[0] is chart.marks[7]
    assert odd[0].y == min(mark.y for mark in chart.marks)
    (upper,) = (curve for curve in chart.curves if curve.name == "upper limit")
    assert odd[0].y < upper.y < chart.marks[0].y
    assert all(charts.LEFT <= mark.x <= charts.END for mark in chart.marks)
    heights = [curve.y for curve in chart.curves]
    assert all(below - above >= 16 for above, below in pairwise(heights)), "names lie on each other"
    assert chart.xs[0].text == "22:13:20"


@pytest.mark.parametrize("shares", [(1.0, *[0.0] * 9), (0.1,) * 10])
def test_columns_stand_on_the_ground_within_the_chart(shares: tuple[float, ...]) -> None:
    """Each as high as its share; the expected tenth is where a share of a tenth would end."""
    chart = charts.score_histogram(Drift("top", "c1", 100, 0.0, shares))
    assert len(chart.columns) == 10
    for column, share in zip(chart.columns, shares, strict=True):
        assert column.y + column.height == pytest.approx(charts.BOTTOM)
        assert column.y >= charts.TOP
        assert (column.height > 0) is (share > 0)
    tenth = [column.y for column, share in zip(chart.columns, shares, strict=True) if share == pytest.approx(0.1)]
    assert tenth in ([], [chart.expected_y] * 10)
    assert charts.tenth_text(9) == "1.00 and more"


def test_a_pareto_chart_shows_the_highest_and_counts_the_rest() -> None:
    """The highest bar is the widest, and the running share only grows."""
    found = bars(str(number) for number in range(1, 21) for _ in range(number))
    chart = charts.pareto(found)
    assert (len(chart.rows), chart.more) == (charts.MOST_BARS, 8)
    widths = [row.width for row in chart.rows]
    assert widths == sorted(widths, reverse=True)
    running = [row.running_x for row in chart.rows]
    assert running == sorted(running)
    assert charts.pareto([]).rows == ()


def test_charts_of_nothing_are_empty() -> None:
    """And not an error."""
    chart = charts.rate_chart(reject_chart([]), 10)
    assert (chart.marks, chart.path, chart.xs) == ((), "", ())
    assert charts.latency_chart([], 10, 1_200.0).marks == ()
