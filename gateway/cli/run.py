"""`gateway run`: serve traffic, as one process or with a supervisor and its workers."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from gateway.cli import MISTAKES
from gateway.cli.mistakes import tell
from gateway.config.policy import load
from gateway.errors import ConfigError
from gateway.state.folder import folder_of


def main(arguments: argparse.Namespace) -> int:
    again = partial(load, arguments.policy, env_files=arguments.env_file)
    folder, watch = folder_of(arguments.policy, arguments.state), not arguments.no_watch
    try:
        policy = again()
        if policy.server.workers == 1:
            from gateway.rehearsal.live import offer
            from gateway.server.process import serve

            return serve(policy, again, folder, watch=watch, offers=offer)
        from gateway.supervisor.process import supervise  # which leaves out what only workers need

        return supervise(policy, arguments.env_file, folder, watch=watch)
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
