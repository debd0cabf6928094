"""docs/check.md, made from the rules' own docstrings: `python -m gateway.cli.rules > docs/check.md`."""

from __future__ import annotations

import inspect
import re
import sys
from textwrap import dedent

from gateway.audit import ACCEPTED, RULES, Rule, name

HEAD = f"""\
# Checking a policy

Made from the code by `python -m gateway.cli.rules`; a change here is lost.

`gateway check` tells every mistake in a policy, with its place and what to write instead. When there is none, it warns of what is allowed
and most likely not meant. A warning names its rule; the rules are listed below.

    gateway check gateway.yaml              # mistakes and warnings, for people
    gateway check --strict gateway.yaml     # for CI: warnings fail too
    gateway check --json gateway.yaml       # one JSON object, for programs

| exit code | |
| --- | --- |
| 0 | The policy is right. There may be warnings. |
| 1 | There are mistakes, and all of them have been told. |
| 2 | There are warnings, with `--strict`. Also when the command itself is wrong, as everywhere. |

The JSON object has `ok`, which is true when the exit code is 0, and the lists `mistakes` and `warnings`. Each item has `severity`
(`error` or `warning`), `file`, `line`, `column`, `path`, `why` and `hint`; a warning has its `rule` too.

## Accepting what is meant

`accept` names rules that shall not warn: of one route, or, at the top of the policy, of anything. It stands in the file, so that the next
reader sees that it is meant, and it is best followed by a comment that says why.

```yaml
accept: any-origin                # the data is public
plugins:
  - cors: "*"
routes:
  - match: POST /api/v1/register
    upstream: leads
    accept: [observed-plugin]     # until next month, when its numbers are known
    plugins:
      - rate_limit: {{limit: 3, window: 1h}}
        mode: observe
```

An `accept` that accepts nothing is warned of itself, as `{ACCEPTED}`: it is misspelt, or what it was for is gone.

## What is not warned of

- A listener without TLS on a public address. In a container that is how it is, and TLS ends in front.
- A route that names some methods, and a catch-all that takes the others. Most services answer 404 or 405 to those.
- A plugin with `mode: off`. It does nothing, and that is written there.

## The rules
"""

_EXAMPLE = re.compile(r"\n\n((?: {4}.*\n?|\n)+)\Z")


def rules() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *(_entry(rule) for rule in RULES)])


def example(rule: Rule) -> str:
    """A part of a policy that the rule warns of; "" when it has none to show."""
    found = _EXAMPLE.search(inspect.getdoc(rule) or "")
    return dedent(found[1]).strip("\n") + "\n" if found else ""


def _entry(rule: Rule) -> str:
    text = _EXAMPLE.sub("", inspect.getdoc(rule) or "")
    shown = f"\n```yaml\n{example(rule)}```\n" if example(rule) else ""
    return f"### {name(rule)}\n\n{text}\n{shown}"


if __name__ == "__main__":
    sys.stdout.write(rules())
