"""Who is calling: credentials found in a request, and what each proves. Behind `gateway.plugin`, for plugins that authenticate."""

from __future__ import annotations

from gateway.identity.api_key import ApiKey, ApiKeySettings
from gateway.identity.basic import Basic, BasicSettings
from gateway.identity.forwarding import Forward, Forwarding
from gateway.identity.jwt import Jwt, JwtSettings
from gateway.identity.method import Identity, Method, Refusal
from gateway.identity.requirement import Requirement, Unmet
from gateway.networks import Networks, listed

__all__ = [
    "ApiKey",
    "ApiKeySettings",
    "Basic",
    "BasicSettings",
    "Forward",
    "Forwarding",
    "Identity",
    "Jwt",
    "JwtSettings",
    "Method",
    "Networks",
    "Refusal",
    "Requirement",
    "Unmet",
    "listed",
]
