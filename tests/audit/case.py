"""A policy around what a case is about, and what one rule says of it."""

from __future__ import annotations

from typing import Any

import yaml

from gateway.app import App
from gateway.audit import RULES, name
from gateway.audit.subject import Subject
from gateway.config.policy import loads
from gateway.errors import Mistake
from gateway.registry import Registry
from tests.config.test_broken import HERE as PLUGINS

LEADS = {"targets": "http://127.0.0.1:3000"}


def policy(fragment: str | dict[str, Any]) -> str:
    """Some top-level keys made whole: with a route to an upstream, and with the upstream `leads`, unless they are there."""
    content: dict[str, Any] = yaml.safe_load(fragment) if isinstance(fragment, str) else fragment
    route = {"name": "shown", "match": "/shown", "upstream": "leads"}
    return yaml.safe_dump({"version": 1, "upstreams": {"leads": LEADS}, "routes": [route], **content}, sort_keys=False)


def compiled(text: str, env: dict[str, str] | None = None) -> App:
    return App(loads(text, Registry(PLUGINS), env or {}), lambda line: None)


def found(rule: str, fragment: str | dict[str, Any], env: dict[str, str] | None = None) -> list[Mistake]:
    """What the rule of this name finds in the policy made of the fragment."""
    (function,) = (one for one in RULES if name(one) == rule)
    return list(function(Subject(compiled(policy(fragment), env))))
