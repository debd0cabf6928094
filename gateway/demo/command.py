"""`gateway demo`: serve the leads until told to stop; with --with-gateway, a gateway in front of them too."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sqlite3
from collections.abc import Sequence

from aiohttp import web

from gateway.demo import beside
from gateway.demo.service import application

log = logging.getLogger("gateway.demo")


def main(argv: Sequence[str]) -> int:
    """The exit code: 0 after SIGTERM or SIGINT, 1 when it could not start; the gateway's own when that ended by itself."""
    options = _parser().parse_args(argv)
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    return asyncio.run(_serve(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gateway demo", description="A small leads service to put the gateway in front of.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="port to listen on, 0 for any free one (default: %(default)s)")
    parser.add_argument("--db", default=":memory:", metavar="PATH", help="SQLite file to keep the leads in (default: in memory)")
    parser.add_argument("--with-gateway", metavar="POLICY", help="run the gateway with this policy as well, LEADS_URL set to this service")
    return parser


async def _serve(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(application(options.db), access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        site = web.TCPSite(runner, options.host, options.port, backlog=2048)
        await site.start()
        url = _url(*runner.addresses[0][:2])
        log.info("leads service on %s", url)
        if options.with_gateway:
            return await beside.run(options.with_gateway, url, stop)
        await stop.wait()
    except OSError as error:
        log.error("cannot listen on %s port %d: %s", options.host, options.port, error.strerror or error)
        return 1
    except sqlite3.Error as error:
        log.error("cannot open the database %s: %s", options.db, error)
        return 1
    finally:
        await runner.cleanup()
    return 0


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
