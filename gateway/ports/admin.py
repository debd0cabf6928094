"""The port to act through. An operation that shall be reached from outside gets a line here."""

from __future__ import annotations

from typing import Any

from gateway.errors import Unprocessable
from gateway.exchange import Reply
from gateway.ports.endpoint import Endpoint, Endpoints

RELOAD = 70.0
"""Seconds: plugins may take thirty to start, behind a reload that is under way and takes as long."""

MANY = 60.0
"""Seconds: a hundred thousand jobs may be meant."""


def _reloaded(outcome: Any) -> Reply:
    if not outcome["ok"]:
        raise Unprocessable(
            "The policy was not reloaded, the old one stays.",
            fields={"mistakes": outcome["mistakes"], "revision": outcome["revision"]},
        )
    return Reply.json(200, outcome)


ENDPOINTS: Endpoints = {
    "/reload": {"POST": Endpoint("reload", _reloaded, RELOAD)},
    "/log-level": {"GET": Endpoint("log_level"), "PUT": Endpoint("set_log_level")},
    "/explain": {"POST": Endpoint("explain")},
    "/exchange": {"GET": Endpoint("exchange")},
    "/policy": {"GET": Endpoint("policy")},
    "/limits": {"GET": Endpoint("limits_show"), "DELETE": Endpoint("limits_reset")},
    "/blocks": {"GET": Endpoint("blocks"), "PUT": Endpoint("block"), "DELETE": Endpoint("unblock")},
    "/keys": {"GET": Endpoint("keys_list"), "PUT": Endpoint("keys_add"), "DELETE": Endpoint("keys_revoke")},
    "/cache": {"GET": Endpoint("cache_look")},
    "/cache/stats": {"GET": Endpoint("cache_stats")},
    "/cache/purge": {"POST": Endpoint("cache_purge")},
    "/jobs": {"GET": Endpoint("jobs_list")},
    "/jobs/show": {"GET": Endpoint("jobs_show")},
    "/jobs/stats": {"GET": Endpoint("jobs_stats")},
    "/jobs/retry": {"POST": Endpoint("jobs_retry", deadline=MANY)},
    "/jobs/cancel": {"POST": Endpoint("jobs_cancel")},
    "/jobs/purge": {"POST": Endpoint("jobs_purge", deadline=MANY)},
    "/jobs/pause": {"POST": Endpoint("jobs_pause")},
    "/jobs/resume": {"POST": Endpoint("jobs_resume")},
    "/status": {"GET": Endpoint("status")},
}
