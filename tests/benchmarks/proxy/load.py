"""The load: wrk, so many connections that each ask again as soon as they are answered."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from tests.benchmarks.proxy.peer import find
from tests.benchmarks.proxy.policy import ORIGIN

INSTALL = "apt-get install wrk"
HEADERS = {
    "Connection": "keep-alive",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "en-US,en;q=0.9,pt;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": f"{ORIGIN}/",
    "Origin": ORIGIN,
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-site",
}
"""What a browser sends with a request of a page to its API; with Host they are eleven."""

MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


@dataclass(frozen=True, slots=True)
class Load:
    requests: int
    seconds: float
    p50: float  # milliseconds
    p99: float
    refused: int  # answers other than 2xx and 3xx
    broken: int  # connections and reads that failed, answers later than 2 s


def run(url: str, connections: int, seconds: int) -> Load:
    """Raises RuntimeError when wrk cannot tell what it did."""
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    command = [find("wrk") or "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *headers, url]
    return parse(subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False).stdout)


def parse(output: str) -> Load:
    """Raises RuntimeError when this is not what wrk --latency writes."""
    done = re.search(r"(\d+) requests in ([\d.]+)(\w+),", output)
    p50, p99 = (re.search(rf"^\s+{percent}%\s+([\d.]+)(\w+)\s*$", output, re.MULTILINE) for percent in (50, 99))
    if done is None or p50 is None or p99 is None:
        raise RuntimeError(f"wrk did not tell what it did: {output!r}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return Load(
        requests=int(done[1]),
        seconds=_milliseconds(done[2], done[3]) / 1e3,
        p50=_milliseconds(p50[1], p50[2]),
        p99=_milliseconds(p99[1], p99[2]),
        refused=int(refused[1]) if refused else 0,
        broken=sum(int(count) for count in broken.groups()) if broken else 0,
    )


def _milliseconds(number: str, unit: str) -> float:
    return float(number) * MILLISECONDS[unit]
