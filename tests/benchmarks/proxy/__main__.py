"""The command: which peers, how long, how often; then the tables."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.proxy import load, streaming, upstream
from tests.benchmarks.proxy.peer import Peer, Place, find
from tests.benchmarks.proxy.peers import PEERS, gateway
from tests.benchmarks.proxy.process import NotServing, Process, free_port, running
from tests.benchmarks.proxy.sample import Sample, measure, row
from tests.benchmarks.proxy.sink import LEADS
from tests.benchmarks.proxy.table import table

Samples = dict[tuple[int, str], list[Sample]]
"""By number of connections and peer's name."""


def main() -> int:
    options = _parser().parse_args()
    if find("wrk") is None and not options.stream:
        print(f"wrk makes the load and is not installed: {load.INSTALL}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # so that no server is left behind
    _raise_open_files()
    cores = _cores()
    os.sched_setaffinity(0, {cores[1]})
    if options.stream:
        print(streaming.report(options.rounds, cores))
        return 0
    chosen = [peer for peer in PEERS if not options.only or peer.name in options.only]
    peers = [peer for peer in chosen if not peer.missing(options.node_modules)]
    failures = {peer.name: why for peer in chosen if (why := peer.missing(options.node_modules))}
    with upstream.leads(cores[1]) as (port, kind):
        samples = _rounds(peers, options, port, cores[0], failures)
    print(f"server on core {cores[0]}, load and upstream ({kind}) on core {cores[1]}; {options.rounds} rounds of {options.seconds} s")
    for connections in options.conns:
        rows = [row(peer.name, peer.does, found) for peer in peers if (found := samples.get((connections, peer.name)))]
        print(f"\n{connections:,} connections\n\n{table(rows)}")
    print(flush=True)
    for name, why in failures.items():
        print(f"not measured: {name}: {why}")
    for version in dict.fromkeys(peer.told_version(options.node_modules) for peer in peers):
        print(version)
    return 1 if any(peer.name in failures for peer in peers if peer in gateway.PEERS) else 0


def _rounds(peers: list[Peer], options: argparse.Namespace, port: int, core: int, failures: dict[str, str]) -> Samples:
    """A B A B: all peers once, then all again, so that what the machine does meanwhile falls on all alike."""
    samples: Samples = defaultdict(list)
    for number in range(options.rounds):
        for peer in peers:
            with upstream.folder() as folder:
                place = Place(folder, free_port(), port, options.node_modules)
                try:
                    _round(peer, place, options, core, samples)
                except (NotServing, RuntimeError) as error:
                    failures[peer.name] = f"failed in round {number + 1}: {error}"
    return samples


def _round(peer: Peer, place: Place, options: argparse.Namespace, core: int, samples: Samples) -> None:
    env = {"NODE_PATH": str(place.node_modules), "NODE_ENV": "production"} if peer.is_node else None
    with running(peer.configure(place), core, place.folder, env) as process:
        _check(peer, process, place)
        for connections in options.conns:
            sample = measure(process, f"http://127.0.0.1:{place.port}{LEADS}", connections, options.seconds, peer.status)
            samples[connections, peer.name].append(sample)
            print(f"{peer.name}, {connections:,} connections: {sample.us:.1f} us, {sample.errors} errors", file=sys.stderr)


def _check(peer: Peer, process: Process, place: Place) -> None:
    """It must do what its row claims. Asked twice, for a limit of one is met by the second. Raises NotServing."""
    process.wait_until_answering(place.port, LEADS, load.HEADERS)
    response = process.wait_until_answering(place.port, LEADS, load.HEADERS)
    if response.status != peer.status:
        raise NotServing(f"it answers {response.status}, not {peer.status}")
    if absent := peer.headers - {name.lower() for name, _ in response.getheaders()}:
        raise NotServing(f"its reply is without {', '.join(sorted(absent))}")


def _cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("only one core: load and server take it from each other, only the CPU column means something", file=sys.stderr)
    return cores[0], cores[-1]


def _raise_open_files() -> None:
    """1,024 connections on both sides are more than the usual limit allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.proxy", description="Measure the gateway beside the proxies that are installed."
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each peer has its turn (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, metavar="N", help="length of one measurement (default: %(default)s)")
    parser.add_argument(
        "--conns", type=_numbers, default=[32, 256, 1024], metavar="N,N", help="numbers of connections (default: 32,256,1024)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=[peer.name for peer in PEERS], metavar="NAME", help=f"of {', '.join(peer.name for peer in PEERS)}"
    )
    parser.add_argument(
        "--node-modules", type=lambda text: Path(text).expanduser().absolute(), metavar="DIR", help="where npm put Fastify and Express"
    )
    parser.add_argument("--stream", action="store_true", help="instead: 1 GiB down and up through nginx and the gateway")
    return parser


if __name__ == "__main__":
    sys.exit(main())
