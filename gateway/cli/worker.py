"""`gateway worker`: run the jobs of a policy, beside the gateways that enqueue them or on another machine."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from gateway.cli import MISTAKES
from gateway.cli.mistakes import tell
from gateway.config.policy import load
from gateway.errors import ConfigError


def main(arguments: argparse.Namespace) -> int:
    from gateway.server.worker import work

    again = partial(load, arguments.policy, env_files=arguments.env_file)
    try:
        return work(again(), again, observe=arguments.observe, watch=not arguments.no_watch)
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
