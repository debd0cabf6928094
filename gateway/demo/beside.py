"""The gateway as a child process beside the leads service: started, waited for, shown, stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from tempfile import TemporaryDirectory

import aiohttp

from gateway.config.policy import load
from gateway.errors import ConfigError

log = logging.getLogger("gateway.demo")

TOUR = """
The gateway answers on {url}; Ctrl-C stops it and the leads service. In another terminal, try

  curl -i '{url}/api/v1/leads?limit=1'
  curl -i {url}/api/v1/leads -H 'Content-Type: application/json' -d '{{"name": "Grace Hopper", "email": "grace@example.com"}}'
  cat var/outbox/*.eml    # the welcome mail that this gave rise to
  curl -i {url}/nowhere
  curl -i '{url}/api/v1/fail?how=reset'
  curl -i {url}/api/v1/login -d '{{"email": "demo@example.com", "password": "guess"}}'    # six times

README.md says what to expect. The policy is {policy}: change it, and the gateway takes the change within seconds.

"""


async def run(policy: str, leads: str, stop: asyncio.Event) -> int:
    """Run the gateway until `stop`, or until it ends by itself: then its exit code."""
    with TemporaryDirectory(prefix="gateway-demo-") as folder:
        # Readiness that says no for a while is for load balancers: nobody who presses Ctrl-C wants to wait for it. And leads that begin
        # anew have the numbers of those before, which a file of jobs would take for the same.
        own = {"LAME_DUCK": "0s", "JOBS_FILE": f"{folder}/jobs.db"}
        return await _run(policy, {**own, **os.environ, "LEADS_URL": leads}, stop)


async def _run(policy: str, env: dict[str, str], stop: asyncio.Event) -> int:
    try:
        url = _url(policy, env)
    except ConfigError as error:
        log.error("%s", error)
        return 1
    # A session of its own: Ctrl-C reaches the gateway through us alone, so that the leads service outlives its draining.
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "gateway", "run", policy, env=env, start_new_session=True)
    ended = asyncio.ensure_future(child.wait())
    greeting = asyncio.ensure_future(_greet(policy, url))
    is_asked = False
    while not ended.done():
        asked = asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if stop.is_set() and not ended.done():
            stop.clear()  # each signal is passed on: a second one ends a drain that takes too long
            is_asked = True
            child.terminate()
    greeting.cancel()
    return 0 if is_asked else ended.result()


def _url(policy: str, env: dict[str, str]) -> str:
    """Where the gateway will be found: it reads the same policy with the same environment. Raises ConfigError."""
    listener = load(policy, env=env).server.listen[0]
    host = "localhost" if listener.host in ("0.0.0.0", "::") else listener.host
    scheme = "http" if listener.tls is None else "https"
    return f"{scheme}://[{host}]:{listener.port}" if ":" in host else f"{scheme}://{host}:{listener.port}"


async def _greet(policy: str, url: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while True:
            if await _is_ready(session, f"{url}/health/readiness"):
                break
            await asyncio.sleep(0.05)
    sys.stderr.write(TOUR.format(url=url, policy=policy))


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, ssl=False) as response:
            return response.status != 503
    except (aiohttp.ClientError, TimeoutError):
        return False
