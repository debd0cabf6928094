"""Values that a policy takes from an exchange: `{{ response.body.email }}`. Jinja2 is imported by those alone who have expressions."""

from gateway.expressions.language import Expression, Missing, Text
from gateway.expressions.sources import Sources
from gateway.expressions.tree import Data, Tree

__all__ = ["Data", "Expression", "Missing", "Sources", "Text", "Tree"]
