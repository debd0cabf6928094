"""`gateway password`: the hash of a password, for the file of users that `authenticate: {basic: ...}` names."""

from __future__ import annotations

import argparse
import getpass
import sys

from gateway.cli import MISTAKES, OK
from gateway.identity.passwords import hashed


def main(arguments: argparse.Namespace) -> int:
    """Asked for without echo on a terminal, else the first line of standard input: a password in the arguments would be in histories."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not password:
        sys.stderr.write("gateway password: no password was given; type it, or send it by standard input\n")
        return MISTAKES
    sys.stdout.write(f"{hashed(password)}\n")
    return OK
