"""The command line: `gateway run|check|plan|schema|explain|test|init|demo`. A command's module is imported when it is called."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

OK, MISTAKES, USAGE = 0, 1, 2
"""Exit codes: done; the policy has mistakes or cannot be run; the command itself is wrong."""
WARNINGS = 2
"""Of `gateway check --strict`: no mistakes, but warnings. The number of wrong usage too, as argparse has it: neither is a pass."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code. Wrong usage raises SystemExit(2), as argparse does."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["demo"]:  # stands apart, with options of its own
        return int(importlib.import_module("gateway.demo").main(argv[1:]))
    _speak_utf8()
    arguments = _parser().parse_args(argv)
    try:
        code = int(importlib.import_module(f"gateway.cli.{arguments.command.replace('-', '_')}").main(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # `gateway plan | head`: the flush at exit shall find nothing to complain of
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        sys.stderr.write(f"gateway {arguments.command}: the output cannot be written: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it cannot be written at exit either
        return MISTAKES
    return code


def _speak_utf8() -> None:
    """Whatever the locale: names in a policy are in any language, and JSON is UTF-8 (RFC 8259, section 8.1)."""
    if sys.stdout is None:  # closed by the shell: >&-
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gateway",
        description="An API gateway that operators program in one file, gateway.yaml.",
        epilog="Exit codes: 0 done; 1 the policy has mistakes or cannot be run; 2 the command itself is wrong.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    run = commands.add_parser("run", help="serve traffic by a policy", description="Serve traffic by the policy until SIGTERM or SIGINT.")
    check = commands.add_parser(
        "check",
        help="tell every mistake in a policy, and what is most likely not meant",
        description="Tell every mistake in the policy and its place; when there is none, warn of what is most likely not meant.",
        epilog="Exit codes: 0 right, with warnings or without; 1 mistakes; 2 warnings with --strict, or wrong usage.",
    )
    plan = commands.add_parser(
        "plan",
        help="show what each route does to a request",
        description="Show the list of plugins that the policy makes of each route: down to the upstream, and back up.",
    )
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of a policy, for editors",
        description="Print the JSON Schema of a policy, with all plugins, those beside the policy among them. It need not exist.",
    )
    explain = commands.add_parser(
        "explain",
        help="show what would happen to one request, and why",
        description="Show what would happen to one request, and why; with --request, what happened to a recent one. The running gateway is "
        "asked if the policy has an admin port and one answers there, else the policy alone. No upstream is asked, no counter moved.",
    )
    debug_token = commands.add_parser(
        "debug-token",
        help="make a token with which a request is answered with what was decided about it",
        description="Make a token. A request that has it under Gateway-Debug is answered with what was decided about it, and how long that "
        "took, under the same name. It is good for whoever has it, until it ends.",
    )
    test = commands.add_parser(
        "test",
        help="run tests of a policy",
        description="Run tests of a policy: requests, and what is expected of each. No socket is opened, and no time passes.",
    )
    init = commands.add_parser(
        "init",
        help="write a first policy for a service",
        description="Write a first policy for a service, with comments. Its rate limit only observes.",
    )
    reload = commands.add_parser(
        "reload",
        help="have the running gateway read its policy again",
        description="Have the running gateway read its policy again, and tell whether it did; the old policy stays when it could not.",
    )
    revisions = commands.add_parser(
        "revisions", help="list the policies that were in force", description="List the policies that were in force, the oldest first."
    )
    rollback = commands.add_parser(
        "rollback",
        help="write an older policy in the place of the current one",
        description="Write an older policy in the place of the current one, which is kept too, and reload the gateway that runs by it.",
    )
    status = commands.add_parser(
        "status",
        help="tell how the running gateway is",
        description="Tell how the running gateway is, by its admin port.",
        epilog="Exit codes: 0 it is ready; 1 it is not, or does not answer.",
    )
    log_level = commands.add_parser(
        "log-level",
        help="show or change what the running gateway logs",
        description="Show, or change until the next reload, the least important message that the running gateway logs, by its admin port.",
    )
    store = commands.add_parser(
        "store", help="tell whether the policy's store answers, and what it is", description="Ask the Redis of the policy's store block."
    )
    limits = commands.add_parser(
        "limits",
        help="show what limits know of a client, or have them forget it",
        description="Show what each limit of the policy knows of a key, or have them forget it: in Redis itself, or by the admin port.",
    )
    block = commands.add_parser(
        "block",
        help="block an address for all gateways that share the store",
        description="Block an address or a network, for a time or for good, for all gateways that share the store.",
    )
    unblock = commands.add_parser("unblock", help="end the block of an address", description="End the block of an address or a network.")
    blocks = commands.add_parser("blocks", help="list who is blocked", description="List who is blocked, until when, and why.")
    store.add_argument("action", choices=("ping", "info"), help="ping: how fast it answers; info: what it is, too")
    limits.add_argument("action", choices=("show", "reset"), help="show: what is left; reset: begin anew")
    limits.add_argument("key", metavar="KEY", help="what the limits count by: a client's address, as a rule")
    block.add_argument("address", metavar="ADDRESS", help="an address or a network, as in 203.0.113.9 or 203.0.113.0/24")
    block.add_argument("--for", dest="time", metavar="TIME", help="how long, as in 30m or 2h (default: for good)")
    block.add_argument("--reason", default="", metavar="TEXT", help="kept with the block, for whoever finds it")
    unblock.add_argument("address", metavar="ADDRESS", help="as gateway blocks lists it")
    for command in (limits, block, unblock, blocks):
        command.add_argument("--policy", default="gateway.yaml", metavar="FILE", help="the policy's file (default: %(default)s)")
    keys = commands.add_parser(
        "keys",
        help="make, list and revoke API keys",
        description="Make, list and revoke the API keys of a file. A running gateway takes the change up by itself.",
    )
    commands.add_parser(
        "password",
        help="hash a password, for a file of users",
        description="Ask for a password, or read it from standard input, and print its hash for a file of users.",
    )
    commands.add_parser("demo", help="start a small real service to put the gateway in front of (demo --help: its options)")
    actions = keys.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    create = actions.add_parser(
        "create", help="make a key", description="Make a key, and print it: it is shown this once, and kept hashed."
    )
    listing = actions.add_parser("list", help="list the keys", description="List the keys: id, consumer, groups, expiry.")
    revoke = actions.add_parser("revoke", help="remove a key", description="Remove a key: what it proved, it proves no more.")
    for command in (create, listing, revoke):
        command.add_argument("--file", default="policy/keys.yaml", metavar="FILE", help="the file of the keys (default: %(default)s)")
    create.add_argument("consumer", metavar="CONSUMER", help="who will ask with it")
    create.add_argument("--group", action="append", default=[], metavar="GROUP", help="a group of the consumer; as often as needed")
    create.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="anything else; as often as needed")
    create.add_argument("--expires", metavar="TIME", help="how long it is good for, as in 90d (default: until it is revoked)")
    revoke.add_argument("key", metavar="KEY", help="its id, or the whole key")
    for command in (run, check, plan, reload, revisions, status, store):
        command.add_argument("policy", nargs="?", default="gateway.yaml", help="the policy's file (default: %(default)s)")
    asking = (status, log_level, debug_token, store, limits, block, unblock, blocks)
    for command in (run, check, plan, explain, test, reload, rollback, *asking):
        command.add_argument(
            "--env-file",
            action="append",
            default=[],
            metavar="FILE",
            help="a file of KEY=VALUE lines, more than one if given again, the last first; the environment wins over it, it over .env",
        )
    for command in (run, reload, revisions, rollback):
        command.add_argument(
            "--state", metavar="FOLDER", help="where the gateway keeps its state (default: var/, and the policy's name, beside the policy)"
        )
    log_level.add_argument(
        "level", nargs="?", choices=("debug", "info", "warning", "error", "policy"), help="the new level; policy: back to the policy's, all"
    )
    log_level.add_argument("--logger", default="", metavar="NAME", help="of this logger alone, as in gateway.plugins.cors (default: all)")
    log_level.add_argument("--policy", default="gateway.yaml", metavar="FILE", help="the policy's file (default: %(default)s)")
    run.add_argument("--no-watch", action="store_true", help="reload on SIGHUP alone, not when a file of the policy changes")
    rollback.add_argument(
        "revision", nargs="?", type=int, metavar="REV", help="as gateway revisions numbers them (default: the one before)"
    )
    rollback.add_argument("--policy", default="gateway.yaml", metavar="FILE", help="the policy's file (default: %(default)s)")
    schema.add_argument("policy", nargs="?", default="gateway.yaml", help="the policy whose own plugins are meant (default: %(default)s)")
    schema.add_argument("--included", action="store_true", help="the schema of a file that a policy includes")
    explain.add_argument("method", nargs="?", metavar="METHOD", help="GET, POST, ...")
    explain.add_argument("url", nargs="?", metavar="URL", help="a path with its query, or a whole URL, whose host is then asked for")
    explain.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a request header; as often as needed"
    )
    explain.add_argument("-d", "--data", metavar="BODY", help="the body, or @FILE to read it from")
    explain.add_argument("--request", metavar="ID", help="what happened to a recent request, by the X-Request-Id of its answer")
    explain.add_argument("--offline", action="store_true", help="do not ask the running gateway")
    explain.add_argument("--client", default="192.0.2.1", metavar="ADDRESS", help="who connects (default: %(default)s)")
    explain.add_argument("--policy", default="gateway.yaml", metavar="FILE", help="the policy's file (default: %(default)s)")
    debug_token.add_argument(
        "--for", default="10m", dest="lasting", metavar="TIME", help="how long it is good, as in 10m (default: %(default)s)"
    )
    debug_token.add_argument("--route", default="", metavar="NAME", help="good for requests of this route alone")
    debug_token.add_argument("--path", default="", metavar="PATH", help="good for this path and those below it alone")
    debug_token.add_argument("--policy", default="gateway.yaml", metavar="FILE", help="the policy's file (default: %(default)s)")
    test.add_argument("files", nargs="+", metavar="FILE", help="files of tests, in YAML")
    test.add_argument("-k", dest="keyword", default="", metavar="WORDS", help="only tests whose name holds these words")
    test.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML, too")
    init.add_argument("--upstream", required=True, metavar="URL", help="where the service runs: http://host:port or https://host:port")
    init.add_argument("--openapi", metavar="FILE", help="the service's OpenAPI 3 document, JSON or YAML: a route for each operation")
    init.add_argument("--output", default="gateway.yaml", metavar="FILE", help="the file to write (default: %(default)s)")
    init.add_argument("--force", action="store_true", help="replace the file if it is there")
    check.add_argument("--strict", action="store_true", help="exit with 2 when there are warnings")
    plan.add_argument("--route", metavar="NAME", help="only the route of this name")
    for command in (check, plan, explain, revisions, status, store, limits, block, unblock, blocks, listing):
        command.add_argument("--json", action="store_true", help="one JSON object, for programs")
    return parser
