"""`gateway log-level`: what the running gateway writes in its log, shown or changed."""

from __future__ import annotations

import argparse
import sys

from gateway.cli import MISTAKES, OK
from gateway.cli.asking import Refused, Unanswered, asked
from gateway.cli.mistakes import tell
from gateway.errors import ConfigError


def main(arguments: argparse.Namespace) -> int:
    try:
        change = None if arguments.level is None else {"level": arguments.level, "logger": arguments.logger}
        answer = asked(arguments.policy, arguments.env_file).ask("GET" if change is None else "PUT", "/log-level", change)
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
    except (Unanswered, Refused) as error:
        sys.stderr.write(f"gateway log-level: {error}\n")
        return MISTAKES
    sys.stdout.write(f"{answer['level']}\n")
    for logger, level in answer.get("loggers", {}).items():
        sys.stdout.write(f"{logger}: {level}\n")
    return OK
