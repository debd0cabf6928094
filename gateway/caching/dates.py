"""HTTP dates, read by the letter (RFC 9110, section 5.6.7): what is none of the three forms is no date.

Readers that guess take `2050-08-18` or `18 Aug 50 UTC` for a date, and serve what its origin meant to be stale.
"""

from __future__ import annotations

import re
from calendar import timegm
from email.utils import formatdate

MONTHS = {name: n for n, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)}
_MONTH = f"(?P<month>{'|'.join(MONTHS)})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = (
    re.compile(rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT", re.ASCII),
    re.compile(rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT", re.ASCII),
    re.compile(rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})", re.ASCII),
)


def parsed(text: str, now: float) -> float | None:
    """Unix time; None when it is no HTTP date. A year of two digits is the nearest that is at most fifty years after `now`."""
    match = next((found for form in _FORMS if (found := form.fullmatch(text))), None)
    if match is None:
        return None
    year, day = int(match["year"]), int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if len(match["year"]) == 2:
        this_year = 1970 + int(now / 31_556_952)
        year += this_year // 100 * 100
        if year > this_year + 50:
            year -= 100
    if not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    return float(timegm((year, MONTHS[match["month"]], day, hour, minute, second)))


def written(time: float) -> str:
    return formatdate(time, usegmt=True)
