"""What became of the requests that the cache could have answered: by route, and by the tags of the rule that answered them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from gateway.telemetry.metrics.reading import Merged

REQUESTS, BYTES, SAVED = "gateway.cache.requests", "gateway.cache.bytes", "gateway.cache.saved"
"""Metrics of plugins/cache.py, whose labels are route, tags, and outcome or what."""
SERVED = frozenset({"hit", "stale", "bridged", "validated", "waited"})
"""Outcomes of requests that were answered from what is stored."""
NOT_ASKED = frozenset({"refreshed", "invalidated"})
"""Outcomes that are no request of a client."""


def cached(reading: Iterable[Merged]) -> dict[str, Any]:
    """Outcomes, the share of requests that were served from the cache, bytes, and requests saved: of all, and by route and tags."""
    rows: dict[tuple[str, str], dict[str, dict[str, float]]] = defaultdict(lambda: {REQUESTS: {}, BYTES: {}, SAVED: {}})
    for merged in reading:
        if merged.shape.name in (REQUESTS, BYTES, SAVED):
            for values, slots in merged.series.items():
                labels = dict(zip(merged.labels, values, strict=True))
                counts = rows[labels.get("route", ""), labels.get("tags", "")][merged.shape.name]
                what = labels.get("outcome") or labels.get("what") or ""
                counts[what] = counts.get(what, 0.0) + slots[0]
    routes, tags = {route for route, _ in rows}, {tags for _, tags in rows if tags}
    return {
        **_told(rows.values()),
        "routes": {name: _told([row for (route, _), row in rows.items() if route == name]) for name in sorted(routes)},
        "tags": {name: _told([row for (_, tagged), row in rows.items() if tagged == name]) for name in sorted(tags)},
    }


def _told(rows: Iterable[dict[str, dict[str, float]]]) -> dict[str, Any]:
    outcomes: dict[str, int] = defaultdict(int)
    size: dict[str, int] = defaultdict(int)
    saved = 0
    for row in rows:
        for outcome, number in row[REQUESTS].items():
            outcomes[outcome] += round(number)
        for what, number in row[BYTES].items():
            size[what] += round(number)
        saved += round(sum(row[SAVED].values()))
    asked = sum(number for outcome, number in outcomes.items() if outcome not in NOT_ASKED)
    served = sum(number for outcome, number in outcomes.items() if outcome in SERVED)
    return {
        "requests": asked,
        "hit_ratio": round(served / asked, 4) if asked else None,
        "saved": saved,
        "outcomes": dict(sorted(outcomes.items())),
        "bytes": dict(sorted(size.items())),
    }
