"""The commands and their options, in the order in which `gateway --help` tells them: one function for each."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gateway.cli.words import Parser, Version

Commands = Any
"""What argparse makes of `add_subparsers`; it has no public name for it."""


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Of all commands, or, when it names one, of that alone: the others would take longer than a short command does."""
    made = Parser(
        prog="gateway",
        description="An API gateway that operators program in one file, gateway.yaml.",
        epilog="Exit codes: 0 done; 1 the policy has mistakes or cannot be run; 2 the command itself is wrong.",
    )
    made.add_argument("--version", action=Version)
    commands = made.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for add in [COMMANDS[command]] if command in COMMANDS else COMMANDS.values():
        add(commands)
    return made


def _run(commands: Commands) -> None:
    run = commands.add_parser("run", help="serve traffic by a policy", description="Serve traffic by the policy until SIGTERM or SIGINT.")
    _policy(run)
    _env_file(run)
    _state(run)
    _no_watch(run)


def _worker(commands: Commands) -> None:
    worker = commands.add_parser(
        "worker",
        help="run the jobs of a policy, and serve nobody",
        description="Run the jobs of the policy until SIGTERM or SIGINT, beside the gateways that enqueue them: on the same machine where "
        "jobs are in a file, on any machine where they are in Redis. It reloads as the gateway does, and lets jobs end that have begun.",
    )
    _policy(worker)
    _env_file(worker)
    worker.add_argument(
        "--observe",
        type=_address,
        metavar="ADDRESS",
        help="where it tells its health and its metrics, as in 127.0.0.1:9193; without it, nowhere",
    )
    _no_watch(worker)


def _check(commands: Commands) -> None:
    check = commands.add_parser(
        "check",
        help="tell every mistake in a policy, and what is most likely not meant",
        description="Tell every mistake in the policy and its place; when there is none, warn of what is most likely not meant.",
        epilog="Exit codes: 0 right, with warnings or without; 1 mistakes; 2 warnings with --strict, or wrong usage.",
    )
    _policy(check)
    _env_file(check)
    check.add_argument("--strict", action="store_true", help="exit with 2 when there are warnings")
    _json(check)


def _plan(commands: Commands) -> None:
    plan = commands.add_parser(
        "plan",
        help="show what each route does to a request",
        description="Show the list of plugins that the policy makes of each route: down to the upstream, and back up.",
    )
    _policy(plan)
    _env_file(plan)
    plan.add_argument("--route", metavar="NAME", help="only the route of this name")
    _json(plan)


def _schema(commands: Commands) -> None:
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of a policy, for editors",
        description="Print the JSON Schema of a policy, with all plugins, those beside the policy among them. It need not exist.",
    )
    schema.add_argument("policy", nargs="?", default="gateway.yaml", help="the policy whose own plugins are meant (default: %(default)s)")
    schema.add_argument("--included", action="store_true", help="the schema of a file that a policy includes")


def _explain(commands: Commands) -> None:
    explain = commands.add_parser(
        "explain",
        help="show what would happen to one request, and why",
        description="Show what would happen to one request, and why; with --request, what happened to a recent one. The running gateway is "
        "asked if the policy has an admin port and one answers there, else the policy alone. No upstream is asked, no counter moved.",
    )
    explain.add_argument("method", nargs="?", metavar="METHOD", help="GET, POST, ...")
    explain.add_argument("url", nargs="?", metavar="URL", help="a path with its query, or a whole URL, whose host is then asked for")
    explain.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a request header; as often as needed"
    )
    explain.add_argument("-d", "--data", metavar="BODY", help="the body, or @FILE to read it from")
    explain.add_argument("--request", metavar="ID", help="what happened to a recent request, by the X-Request-Id of its answer")
    explain.add_argument("--offline", action="store_true", help="do not ask the running gateway")
    explain.add_argument("--client", default="192.0.2.1", metavar="ADDRESS", help="who connects (default: %(default)s)")
    _of_policy(explain)
    _json(explain)


def _debug_token(commands: Commands) -> None:
    debug_token = commands.add_parser(
        "debug-token",
        help="make a token with which a request is answered with what was decided about it",
        description="Make a token. A request that has it under Gateway-Debug is answered with what was decided about it, and how long that "
        "took, under the same name. It is good for whoever has it, until it ends.",
    )
    debug_token.add_argument(
        "--for", default="10m", dest="lasting", metavar="TIME", help="how long it is good, as in 10m (default: %(default)s)"
    )
    debug_token.add_argument("--route", default="", metavar="NAME", help="good for requests of this route alone")
    debug_token.add_argument("--path", default="", metavar="PATH", help="good for this path and those below it alone")
    _of_policy(debug_token)


def _test(commands: Commands) -> None:
    test = commands.add_parser(
        "test",
        help="run tests of a policy",
        description="Run tests of a policy: requests, and what is expected of each. No socket is opened, and no time passes.",
    )
    test.add_argument("files", nargs="+", metavar="FILE", help="files of tests, in YAML")
    test.add_argument("-k", dest="keyword", default="", metavar="WORDS", help="only tests whose name holds these words")
    test.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML, too")
    _env_file(test)


def _init(commands: Commands) -> None:
    init = commands.add_parser(
        "init",
        help="write a first policy for a service",
        description="Write a first policy for a service, with comments. What refuses or changes only observes.",
    )
    init.add_argument("--upstream", required=True, metavar="URL", help="where the service runs: http://host:port or https://host:port")
    init.add_argument("--openapi", metavar="FILE", help="the service's OpenAPI 3 document, JSON or YAML: a route for each operation")
    init.add_argument("--output", default="gateway.yaml", metavar="FILE", help="the file to write (default: %(default)s)")
    init.add_argument("--force", action="store_true", help="replace the file if it is there")


def _reload(commands: Commands) -> None:
    reload = commands.add_parser(
        "reload",
        help="have the running gateway read its policy again",
        description="Have the running gateway read its policy again, and tell whether it did; the old policy stays when it could not.",
    )
    _policy(reload)
    _env_file(reload)
    _state(reload)


def _revisions(commands: Commands) -> None:
    revisions = commands.add_parser(
        "revisions", help="list the policies that were in force", description="List the policies that were in force, the oldest first."
    )
    _policy(revisions)
    _state(revisions)
    _json(revisions)


def _rollback(commands: Commands) -> None:
    rollback = commands.add_parser(
        "rollback",
        help="write an older policy in the place of the current one",
        description="Write an older policy in the place of the current one, which is kept too, and reload the gateway that runs by it.",
    )
    rollback.add_argument(
        "revision", nargs="?", type=int, metavar="REV", help="as gateway revisions numbers them (default: the one before)"
    )
    _of_policy(rollback)
    _state(rollback)


def _status(commands: Commands) -> None:
    status = commands.add_parser(
        "status",
        help="tell how the running gateway is",
        description="Tell how the running gateway is, by its admin port.",
        epilog="Exit codes: 0 it is ready; 1 it is not, or does not answer.",
    )
    _policy(status)
    _env_file(status)
    _json(status)


def _log_level(commands: Commands) -> None:
    log_level = commands.add_parser(
        "log-level",
        help="show or change what the running gateway logs",
        description="Show, or change until the next reload, the least important message that the running gateway logs, by its admin port.",
    )
    log_level.add_argument(
        "level", nargs="?", choices=("debug", "info", "warning", "error", "policy"), help="the new level; policy: back to the policy's, all"
    )
    log_level.add_argument("--logger", default="", metavar="NAME", help="of this logger alone, as in gateway.plugins.cors (default: all)")
    _of_policy(log_level)


def _store(commands: Commands) -> None:
    store = commands.add_parser(
        "store", help="tell whether the policy's store answers, and what it is", description="Ask the Redis of the policy's store block."
    )
    store.add_argument("action", choices=("ping", "info"), help="ping: how fast it answers; info: what it is, too")
    _policy(store)
    _env_file(store)
    _json(store)


def _limits(commands: Commands) -> None:
    limits = commands.add_parser(
        "limits",
        help="show what limits know of a client, or have them forget it",
        description="Show what each limit of the policy knows of a key, or have them forget it: in Redis itself, or by the admin port.",
    )
    limits.add_argument("action", choices=("show", "reset"), help="show: what is left; reset: begin anew")
    limits.add_argument("key", metavar="KEY", help="what the limits count by: a client's address, as a rule")
    _of_policy(limits)
    _json(limits)


def _cache(commands: Commands) -> None:
    cache = commands.add_parser(
        "cache",
        help="purge stored answers, or tell what is stored",
        description="Purge stored answers on all gateways that share the store, or ask the running gateway what it has stored.",
    )
    actions = cache.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    purge = actions.add_parser(
        "purge",
        help="have answers asked for anew",
        description="Have stored answers asked for anew: those of a URL, with a tag, of a route, or all.",
        epilog="Exit codes: 0 purged on all gateways; 1 not, and why.",
    )
    purge.add_argument("url", nargs="*", metavar="URL", help="a whole URL, as clients ask for it")
    purge.add_argument("--tag", action="append", default=[], metavar="TAG", help="those with this tag; as often as needed")
    purge.add_argument("--route", action="append", default=[], metavar="NAME", help="those of this route; as often as needed")
    purge.add_argument("--prefix", action="append", default=[], metavar="URL", help="those whose URL begins so; as often as needed")
    purge.add_argument("--all", action="store_true", help="all that is stored")
    purge.add_argument("--soft", action="store_true", help="they are stale, and may be served where stale answers may")
    stats = actions.add_parser(
        "stats",
        help="tell how full it is, and how much it saves",
        description="Tell how full the cache is, of what, and how much it saves.",
    )
    look = actions.add_parser(
        "look", help="tell what is stored of a URL", description="Tell what the running gateway has at hand of a URL."
    )
    look.add_argument("url", metavar="URL", help="a whole URL, as clients ask for it")
    for action in (purge, stats, look):
        _of_policy(action)
        _json(action)


def _block(commands: Commands) -> None:
    block = commands.add_parser(
        "block",
        help="block an address for all gateways that share the store",
        description="Block an address or a network, for a time or for good, for all gateways that share the store.",
    )
    block.add_argument("address", metavar="ADDRESS", help="an address or a network, as in 203.0.113.9 or 203.0.113.0/24")
    block.add_argument("--for", dest="time", metavar="TIME", help="how long, as in 30m or 2h (default: for good)")
    block.add_argument("--reason", default="", metavar="TEXT", help="kept with the block, for whoever finds it")
    _of_policy(block)
    _json(block)


def _unblock(commands: Commands) -> None:
    unblock = commands.add_parser("unblock", help="end the block of an address", description="End the block of an address or a network.")
    unblock.add_argument("address", metavar="ADDRESS", help="as gateway blocks lists it")
    _of_policy(unblock)
    _json(unblock)


def _blocks(commands: Commands) -> None:
    blocks = commands.add_parser("blocks", help="list who is blocked", description="List who is blocked, until when, and why.")
    _of_policy(blocks)
    _json(blocks)


def _jobs(commands: Commands) -> None:
    jobs = commands.add_parser(
        "jobs",
        help="see jobs, have them tried again, hold them up",
        description="See jobs, have them tried again, hold them up: by the admin port of the gateway that runs, else in their store.",
    )
    actions = jobs.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    for name, help_, takes in JOBS_ACTIONS:
        action = actions.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
        for one in takes:
            _JOBS_TAKE[one](action)
        _of_policy(action)
        _json(action)


_JOBS_TAKE: dict[str, Callable[[argparse.ArgumentParser], Any]] = {
    "id": lambda action: action.add_argument("id", metavar="ID", help="the job's id"),
    "id?": lambda action: action.add_argument("id", nargs="?", metavar="ID", help="the job's id; without it, all of --state"),
    "type": lambda action: action.add_argument("type", metavar="TYPE", help="the jobs' type, as in email"),
    "--type": lambda action: action.add_argument("--type", metavar="TYPE", help="those of this type alone"),
    "--state": lambda action: action.add_argument("--state", metavar="STATE", help="queued, delayed, active, done, dead or parked"),
    "--limit": lambda action: action.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (default: 100)"),
    "file": lambda action: action.add_argument("file", metavar="FILE", help="the file to write, which must not be there"),
}
JOBS_ACTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("list", "list jobs, the newest first", ("--type", "--state", "--limit")),
    ("show", "show all that is known of a job, without what nobody shall read", ("id",)),
    ("stats", "count jobs by type and state", ()),
    ("tail", "print jobs as they come and change, until Ctrl-C", ("--type", "--state")),
    ("retry", "queue again a job, or all that are dead or parked", ("id?", "--state", "--type")),
    ("cancel", "bury a job that has not begun", ("id",)),
    ("purge", "forget all jobs in a state", ("--state", "--type")),
    ("pause", "hold up the jobs of a type", ("type",)),
    ("resume", "go on with the jobs of a type", ("type",)),
    ("backup", "copy the file of the jobs, while it is used", ("file",)),
)


def _keys(commands: Commands) -> None:
    keys = commands.add_parser(
        "keys",
        help="make, list and revoke API keys",
        description="Make, list and revoke API keys: of a file, or of the store that gateways share. Running gateways take the change up.",
    )
    actions = keys.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    create = actions.add_parser(
        "create", help="make a key", description="Make a key, and print it: it is shown this once, and kept hashed."
    )
    create.add_argument("consumer", metavar="CONSUMER", help="who will ask with it")
    create.add_argument("--group", action="append", default=[], metavar="GROUP", help="a group of the consumer; as often as needed")
    create.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="anything else; as often as needed")
    create.add_argument("--expires", metavar="TIME", help="how long it is good for, as in 90d (default: until it is revoked)")
    listing = actions.add_parser("list", help="list the keys", description="List the keys: id, consumer, groups, expiry.")
    _json(listing)
    revoke = actions.add_parser("revoke", help="remove a key", description="Remove a key: what it proved, it proves no more.")
    revoke.add_argument("key", metavar="KEY", help="its id, or the whole key")
    for action in (create, listing, revoke):
        place = action.add_mutually_exclusive_group()
        place.add_argument("--file", default="policy/keys.yaml", metavar="FILE", help="the file of the keys (default: %(default)s)")
        place.add_argument("--store", action="store_true", help="in place of a file: the policy's store")
        _of_policy(action)
        action.set_defaults(json=False)


def _password(commands: Commands) -> None:
    commands.add_parser(
        "password",
        help="hash a password, for a file of users",
        description="Ask for a password, or read it from standard input, and print its hash for a file of users.",
    )


def _demo(commands: Commands) -> None:
    """It stands apart, and reads its options itself."""
    commands.add_parser("demo", help="start a small real service to put the gateway in front of (demo --help: its options)")


COMMANDS: dict[str, Callable[[Commands], None]] = {
    "run": _run,
    "worker": _worker,
    "check": _check,
    "plan": _plan,
    "schema": _schema,
    "explain": _explain,
    "debug-token": _debug_token,
    "test": _test,
    "init": _init,
    "reload": _reload,
    "revisions": _revisions,
    "rollback": _rollback,
    "status": _status,
    "log-level": _log_level,
    "store": _store,
    "limits": _limits,
    "cache": _cache,
    "block": _block,
    "unblock": _unblock,
    "blocks": _blocks,
    "jobs": _jobs,
    "keys": _keys,
    "password": _password,
    "demo": _demo,
}


def _policy(command: argparse.ArgumentParser) -> None:
    command.add_argument("policy", nargs="?", default="gateway.yaml", help="the policy's file (default: %(default)s)")


def _of_policy(command: argparse.ArgumentParser) -> None:
    """For a command whose arguments are something else."""
    command.add_argument("--policy", default="gateway.yaml", metavar="FILE", help="the policy's file (default: %(default)s)")
    _env_file(command)


def _env_file(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--env-file",
        action="append",
        default=[],
        metavar="FILE",
        help="a file of KEY=VALUE lines, more than one if given again, the last first; the environment wins over it, it over .env",
    )


def _state(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--state", metavar="FOLDER", help="where the gateway keeps its state (default: var/, and the policy's name, beside the policy)"
    )


def _no_watch(command: argparse.ArgumentParser) -> None:
    command.add_argument("--no-watch", action="store_true", help="reload on SIGHUP alone, not when a file of the policy changes")


def _address(text: str) -> str:
    from gateway.config.address import address  # and pydantic with it, for those who use it

    try:
        address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON object, for programs")
