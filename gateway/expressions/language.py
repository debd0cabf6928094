"""`{{ response.body.email }}`: what a policy takes from one exchange, in Jinja2's words for one value; compiled at load, strict.

No loops, no calls, no arithmetic: what an expression costs is known, whatever a request holds. Nothing that a request holds is ever
compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, nodes
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator

from gateway.config.settings import Told

ROOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "request": ("method", "path", "route", "client", "id", "params", "query", "headers", "body"),
    "response": ("status", "headers", "body"),
    "consumer": (),
    "groups": (),
    "claims": (),
}
"""What there is to take from, and what each has; of what is in bodies, headers and claims nothing is known before a request comes."""
FILTERS = frozenset(
    {
        "capitalize",
        "d",
        "default",
        "first",
        "int",
        "join",
        "last",
        "length",
        "lower",
        "replace",
        "string",
        "title",
        "tojson",
        "trim",
        "upper",
    }
)
"""Of Jinja2's, those that take little and give little."""
_NODES = (
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.Filter, nodes.CondExpr, nodes.Concat,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip
_BARE = re.compile(r"[{$(]*((?:request|response|claims)(?:\.\w+)+)[)}]*")
"""What is taken, without the braces that take it."""
LARGEST = 64 << 10
"""Characters that a text may become."""


MEANT = {
    **dict.fromkeys(("json", "data", "payload"), "body"),
    **dict.fromkeys(("code", "status_code"), "status"),
    **dict.fromkeys(("res", "resp", "reply"), "response"),
    **dict.fromkeys(("jwt", "token"), "claims"),
    "path_params": "params",
    "args": "query",
    "cookies": "headers",
    "req": "request",
    "user": "consumer",
    "ip": "client",
    "url": "path",
}
"""What things are called elsewhere."""


class Mistaken(Told):
    """No expression; the message says why, and what may be written."""


class Missing(Exception):
    """The exchange does not have what the expression names; the message says what."""


class _Environment(ImmutableSandboxedEnvironment):
    """Fields are looked up, and attributes never: a lead may have `items`, or `keys`."""

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)


def _written(value: Any) -> Any:
    """A value within a text. Raises UndefinedError for what has no text of its own."""
    if value is None or isinstance(value, Mapping | list | tuple):
        raise UndefinedError(f"{'null' if value is None else 'a list or an object'} within a text")
    return str(value).lower() if isinstance(value, bool) else value


_ENVIRONMENT = _Environment(undefined=StrictUndefined, autoescape=False, optimized=False, finalize=_written)


class Expression:
    """A text with `{{ ... }}` in it. One that is nothing else gives the value as it is; else all together are one text."""

    __slots__ = ("_evaluate", "is_constant", "names", "text")

    def __init__(self, text: str) -> None:
        """Raises ValueError with what may be written."""
        self.text = text
        parsed = _parse(text)
        found = list(_flat(parsed))
        taken = {id(node.node) for node in found if isinstance(node, nodes.Getattr | nodes.Getitem) and dotted(node)}
        for node in found:
            _refuse(node, is_taken_from=id(node) in taken)
        self.names = frozenset(name for node in found if (name := dotted(node)))
        """What it takes, as `response.body.email`, each with what leads there."""
        self.is_constant = all(isinstance(node, nodes.TemplateData) for output in parsed.body for node in _outputs(output))
        self._evaluate = self._compiled(parsed)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Raises Missing, also for what cannot be done with the value that is there."""
        try:
            found = self._evaluate(values)
        except UndefinedError as error:
            raise Missing(f"{self.text}: {error.message}") from None
        except Exception as error:  # a filter may raise anything of what it cannot take; its message may hold what it was given
            raise Missing(f"{self.text}: {type(error).__name__}") from None
        if isinstance(found, Undefined):
            raise Missing(f"{self.text}: {found._undefined_message}")
        if isinstance(found, str) and len(found) > LARGEST:
            raise Missing(f"{self.text}: a text of more than {LARGEST} characters")
        return found

    def _compiled(self, parsed: nodes.Template) -> Callable[[Mapping[str, Any]], Any]:
        if self.is_constant:
            return lambda values: self.text
        written = self.text.strip()
        outputs = [node for output in parsed.body for node in _outputs(output)]
        if len(outputs) == 1 and written.startswith("{{") and written.endswith("}}"):
            compiled = _ENVIRONMENT.compile_expression(written[2:-2].strip("-"), undefined_to_none=False)
            return lambda values: compiled(values)
        template = _ENVIRONMENT.from_string(self.text)
        return template.render


def _parse(text: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(text)
    except TemplateSyntaxError as error:
        raise Mistaken(f'"{text}" is no expression: {_why(text, error)}; write it as in {{{{ response.body.email }}}}') from None


def _why(text: str, error: TemplateSyntaxError) -> str:
    """In the words of who writes it: Jinja2's speak of its own insides."""
    if text.count("{{") > text.count("}}"):
        return "the }} at its end is missing"
    return str(error.message).rstrip(".").replace("print statement", "the expression")


def _outputs(node: nodes.Node) -> list[nodes.Expr]:
    return list(node.nodes) if isinstance(node, nodes.Output) else []


def _flat(node: nodes.Node) -> Iterator[nodes.Node]:
    for child in node.iter_child_nodes():
        yield child
        yield from _flat(child)


def _refuse(node: nodes.Node, is_taken_from: bool) -> None:
    """Raises ValueError for what an expression may not do, and for what there never is."""
    if not isinstance(node, _NODES):
        what = type(node).__name__.lower()
        raise Mistaken(f"an expression takes values, and there is no {what} in it; write {{{{ response.body.email }}}}")
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        raise Mistaken(f"there is no filter {node.name} here; {_near(node.name, FILTERS) or 'there are ' + ', '.join(sorted(FILTERS))}")
    if isinstance(node, nodes.Name) and node.name not in ROOTS:
        raise Mistaken(
            f"there is no {node.name} to take from; {_near(node.name, ROOTS) or _within(node.name) or 'there are ' + ', '.join(ROOTS)}"
        )
    if isinstance(node, nodes.Name) and ROOTS[node.name] and not is_taken_from:
        raise Mistaken(f"{node.name} is too much for a value; take one of {', '.join(f'{node.name}.{name}' for name in ROOTS[node.name])}")
    name = dotted(node)
    root, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    if rest and ROOTS[root] and first not in ROOTS[root]:
        raise Mistaken(f"{root} has no {first}; {_near(first, ROOTS[root]) or 'it has ' + ', '.join(ROOTS[root])}")


def _near(word: str, known: Iterable[str]) -> str:
    """The one of `known` that is meant, as a question; "" when none is near."""
    found = MEANT.get(word) or next(iter(get_close_matches(word, sorted(known), n=1)), "")
    return f'did you mean "{found}"?' if found in known else ""


def _within(word: str) -> str:
    """Where a name stands that is written without what it is part of; "" when nowhere."""
    found = [f"{root}.{word}" for root, inner in ROOTS.items() if word in inner]
    return f"write {' or '.join(found)}" if found else ""


def dotted(node: nodes.Node) -> str:
    """`response.body.email` of the node that means it; "" of all others."""
    match node:
        case nodes.Name(name=str(name)) if name in ROOTS:
            return name
        case nodes.Getattr(node=inner, attr=str(attribute)) if above := dotted(inner):
            return f"{above}.{attribute}"
        case nodes.Getitem(node=inner, arg=nodes.Const(value=str(key))) if above := dotted(inner):
            return f"{above}.{key}"
    return ""


def _expression(value: str) -> str:
    Expression(value)
    if (bare := _BARE.fullmatch(value.strip())) is not None:
        raise Mistaken(f'"{value}" is a text of these letters; write {{{{ {bare[1]} }}}} for what it names')
    return value


Text = Annotated[str, AfterValidator(_expression)]
"""A text with expressions, refused at load when they are none."""
