"""`gateway run`: serve traffic."""

from __future__ import annotations

import argparse
import sys

from gateway.cli import MISTAKES
from gateway.cli.mistakes import tell
from gateway.config.policy import load
from gateway.errors import ConfigError
from gateway.server.process import serve


def main(arguments: argparse.Namespace) -> int:
    try:
        return serve(load(arguments.policy))
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
