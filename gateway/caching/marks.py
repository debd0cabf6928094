"""By what a record can be purged: one text for each, and a purge names some of them.

A record has `all`, its `route:NAME`, its `url:http://host/path?query`, and a `tag:NAME` for each of its tags. A purge may also name
`prefix:http://host/path`, which is no mark of a record but the beginning of its URL. Groups of RFC 9875 are one origin's:
`group:http://host NAME`.
"""

from __future__ import annotations

from collections.abc import Iterable

ALL = "all"
ROUTE, URL, TAG, GROUP, PREFIX = "route:", "url:", "tag:", "group:", "prefix:"


def marks(route: str, url: str, tags: Iterable[str], groups: Iterable[str]) -> tuple[str, ...]:
    """All that an answer to `url`, `scheme://host/path?query`, can be purged by."""
    origin = url[: url.find("/", url.find("//") + 2)]
    return (ALL, ROUTE + route, URL + url, *[TAG + tag for tag in tags], *[f"{GROUP}{origin} {group}" for group in groups])


def url_of(marks: tuple[str, ...]) -> str:
    """The URL of the record that has these marks; "" without one."""
    return next((mark[len(URL) :] for mark in marks if mark.startswith(URL)), "")


def tags_of(marks: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([mark[len(TAG) :] for mark in marks if mark.startswith(TAG)])
