"""The dashboard is one that Grafana reads, and asks for metrics and labels that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.dashboard import DASHBOARD, QUERIES, VARIABLE, Query, filled
from tests.deploy.promql import labels
from tests.deploy.test_rules import KNOWN

PANELS = DASHBOARD["panels"]
SHOWN = [panel for panel in PANELS if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.panel}-{query.legend}")
def test_a_query_asks_for_what_there_is(query: Query) -> None:
    given = labels(filled(query.expression), KNOWN)
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= given


def test_the_variables_ask_for_what_there_is() -> None:
    asked = [re.fullmatch(r"label_values\((.*), (\w+)\)", one["query"]["query"]) for one in VARIABLES.values() if one["type"] == "query"]
    for found in asked:
        assert found is not None and found[2] in labels(filled(found[1]), KNOWN)
    for annotation in DASHBOARD["annotations"]["list"]:
        labels(filled(annotation["expr"]), KNOWN)


def test_every_variable_is_used_and_defined() -> None:
    used = set(VARIABLE.findall(" ".join(query.expression for query in QUERIES))) - {"__rate_interval"}
    assert used | {"datasource"} == set(VARIABLES)


def test_no_data_source_is_named_but_by_its_variable() -> None:
    """Nobody else's Grafana has ours."""
    assert VARIABLES["datasource"]["query"] == "prometheus"
    sources = re.findall(r'"uid": "([^"]+)"', json.dumps(DASHBOARD | {"uid": None}))
    assert len(sources) > len(QUERIES) and set(sources) == {"${datasource}"}


def test_each_panel_has_a_place_and_a_name_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    taken = [cell for panel in PANELS for cell in _cells(**panel["gridPos"])]
    assert len(set(taken)) == len(taken) and max(x for x, _ in taken) < 24
    for panel in SHOWN:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


def _cells(x: int, y: int, w: int, h: int) -> Iterator[tuple[int, int]]:
    return ((x + right, y + down) for right in range(w) for down in range(h))


def test_grafana_s_own_types_know_all_of_it() -> None:
    """Read into the classes that are made from Grafana's schema, and written again: what they do not know is lost on the way."""
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))
    own = DASHBOARD | {"annotations": {}}  # the fields of an annotation are its data source's
    assert list(_lost(own, again)) == []
    assert list(_lost(own | {"refersh": "30s"}, again)) == ["/refersh"]


def _lost(one: Any, other: Any, path: str = "") -> Iterator[str]:
    match one, other:
        case dict(), dict():
            for key, value in one.items():
                yield from _lost(value, other[key], f"{path}/{key}") if key in other else [f"{path}/{key}"]
        case list(), list() if len(one) == len(other):
            for n, value in enumerate(one):
                yield from _lost(value, other[n], f"{path}/{n}")
        case _ if one != other:
            yield path
