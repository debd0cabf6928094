"""`gateway run`: serve traffic."""

from __future__ import annotations

import argparse
import sys
from functools import partial

from gateway.cli import MISTAKES
from gateway.cli.mistakes import tell
from gateway.config.policy import load
from gateway.errors import ConfigError
from gateway.rehearsal.live import offer
from gateway.server.process import serve
from gateway.state.folder import folder_of


def main(arguments: argparse.Namespace) -> int:
    again = partial(load, arguments.policy, env_files=arguments.env_file)
    try:
        return serve(again(), again, folder_of(arguments.policy, arguments.state), watch=not arguments.no_watch, offers=offer)
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
