"""`gateway debug-token`: a token with which a request is answered with what was decided about it."""

from __future__ import annotations

import argparse
import sys
import time

from gateway.cli import MISTAKES, OK, USAGE
from gateway.cli.mistakes import tell
from gateway.config.policy import load
from gateway.config.settings import duration
from gateway.config.shape import nearest
from gateway.errors import ConfigError
from gateway.server.debug_token import mint

LONGEST = 86_400
"""Seconds: a token cannot be taken back without changing the secret."""


def main(arguments: argparse.Namespace) -> int:
    try:
        seconds = duration(arguments.lasting)
        if not 1 <= seconds <= LONGEST:
            raise ValueError(f"a token is good for 1s to {LONGEST // 3600}h")
        if arguments.path and not arguments.path.startswith("/"):
            raise ValueError(f'--path: "{arguments.path}" is no path; it begins with a slash')
        policy = load(arguments.policy, env_files=arguments.env_file)
    except ValueError as error:
        sys.stderr.write(f"gateway debug-token: {error}\n")
        return USAGE
    except ConfigError as error:
        tell(error, sys.stderr)
        return MISTAKES
    names = [route.name for route in policy.routes]
    if arguments.route and arguments.route not in names:
        hint = nearest(arguments.route, names)
        sys.stderr.write(f'gateway debug-token: no route is called "{arguments.route}"' + (f"; {hint}\n" if hint else "\n"))
        return USAGE
    secret = policy.server.debug.secret
    if not secret:
        sys.stderr.write(
            f"gateway debug-token: {arguments.policy} has no secret for tokens; write server: "
            '{debug: {secret: "${GATEWAY_DEBUG_SECRET:-}"}} and set it, as to openssl rand -hex 32\n'
        )
        return MISTAKES
    sys.stdout.write(mint(secret, int(time.time() + seconds), route=arguments.route, path=arguments.path) + "\n")
    return OK
