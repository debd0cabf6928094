"""Bodies, queries and what is in them: read in one way only, checked against schemas, cleaned. Behind `gateway.plugin`."""

from __future__ import annotations

from gateway.content.cleaning import Cleaning, Enough, Finding, Html, Rules
from gateway.content.cleaning import Field as CleaningField
from gateway.content.engines import notice, quick
from gateway.content.fields import Fields
from gateway.content.formats import prepare
from gateway.content.forms import form, pair, pairs
from gateway.content.media import FORM, JSON, MULTIPART, has_body, is_json, media_type
from gateway.content.multipart import Part, joined, parts
from gateway.content.operations import ApiSource, operations
from gateway.content.reading import LimitsSettings, Reader
from gateway.content.requests import Looked, RequestSchema, body_schemas, look
from gateway.content.schemas import SchemaSource, Unknown
from gateway.content.text import Treatment
from gateway.content.violations import Violation
from gateway.strictjson import loads

__all__ = [
    "FORM",
    "JSON",
    "MULTIPART",
    "ApiSource",
    "Cleaning",
    "CleaningField",
    "Enough",
    "Fields",
    "Finding",
    "Html",
    "LimitsSettings",
    "Looked",
    "Part",
    "Reader",
    "RequestSchema",
    "Rules",
    "SchemaSource",
    "Treatment",
    "Unknown",
    "Violation",
    "body_schemas",
    "form",
    "has_body",
    "is_json",
    "joined",
    "loads",
    "look",
    "media_type",
    "notice",
    "operations",
    "pair",
    "pairs",
    "parts",
    "prepare",
    "quick",
]
