"""The page of a line's trends: charts drawn by the server, each with its numbers in a table beside it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Parts, ReadLine, Somebody
from alerting.console.api_trends import Since
from alerting.console.charts import latency_chart, pareto, rate_chart, score_histogram, tenth_text
from alerting.console.rights import Permission
from alerting.console.templating import pages_of
from alerting.console.views import clock_text
from alerting.trends.drift import BINS
from shared.shifts import zone_of

router: Final = APIRouter(include_in_schema=False)
SPANS: Final = (("", "this shift"), ("8h", "8 hours"), ("24h", "24 hours"), ("7d", "7 days"), ("31d", "31 days"))


@router.get("/trends")
async def choose(request: Request, context: Parts, principal: Somebody) -> Response:
    """Show which lines there are, or the only one's trends."""
    names = [line.name for line in context.settings.lines if principal.may(Permission.READ, line.name)]
    if len(names) == 1:
        return RedirectResponse(f"/lines/{names[0]}/trends", 303)
    return pages_of(request).render(request, "lines", principal, lines=names, of="trends", title="Trends")


@router.get("/lines/{line}/trends")
async def trends(
    line: ReadLine, request: Request, context: Parts, principal: Somebody, since: Since = ""
) -> HTMLResponse:
    """Show how a line does."""
    report = await context.trends.report(line, since)
    found, zone = report.trends, zone_of(line.time_zone)
    rows = zip(found.groups, found.reject_chart.points, found.default_chart.points, strict=True)
    return pages_of(request).render(
        request,
        "trends",
        principal,
        line=line.name,
        report=report,
        found=found,
        since=since,
        spans=SPANS if context.trends.reaches_back else SPANS[:1],
        times={name: clock_text(at_ns, zone) for name, at_ns in _times(report.read_ns, found.first_ns, found.last_ns)},
        rows=[(clock_text(group.start_ns, zone), group, rejects, defaults) for group, rejects, defaults in rows],
        rejects=rate_chart(found.reject_chart, found.group_s, zone),
        defaults=rate_chart(found.default_chart, found.group_s, zone),
        latency=latency_chart(found.groups, found.group_s, line.gate_delay_ms - line.actuation_lead_ms, zone),
        drifts=[(one, score_histogram(one)) for one in found.drifts],
        tenths=[tenth_text(number) for number in range(BINS)],
        paretos=[
            ("camera", "Rejects by camera", found.by_camera, pareto(found.by_camera)),
            ("region", "Rejects by region of the picture", found.by_place, pareto(found.by_place)),
            ("misses", "Why parts came by default", found.misses, pareto(found.misses)),
        ],
    )


def _times(read_ns: int, first_ns: int, last_ns: int) -> tuple[tuple[str, int], ...]:
    return ("read", read_ns), ("first", first_ns), ("last", last_ns)
