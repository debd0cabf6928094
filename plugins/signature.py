"""Requests that are signed with a shared secret: verified, and signed anew for the upstream.

Of two standard forms: HTTP message signatures (RFC 9421, hmac-sha256, the body by Content-Digest of RFC 9530), which cover what they name;
and Standard Webhooks, which cover an id, the time and the body. A signature counts once, and for `window` from when it was made.
"""

from __future__ import annotations

from typing import Annotated, Literal

from multidict import istr
from pydantic import AfterValidator, model_validator

from gateway.plugin import (
    Attempt,
    BadRequest,
    Duration,
    Exchange,
    Field,
    GatewayError,
    Host,
    Many,
    OneOrMany,
    Plugin,
    Settings,
    StoreAway,
    Token,
    Unauthorized,
    Unavailable,
    new_id,
    signing,
)

DIGEST = istr("Content-Digest")
FIELDS = {"rfc9421": ("Signature-Input", "Signature"), "webhooks": ("webhook-id", "webhook-timestamp", "webhook-signature")}
CHALLENGE = ("WWW-Authenticate", 'Signature realm="gateway"')
REPLAY = "signature:"

Scheme = Literal["rfc9421", "webhooks"]


def _secret(value: str) -> str:
    signing.secret_bytes(value)
    return value


def _components(value: tuple[str, ...]) -> tuple[str, ...]:
    signing.check_components(value)
    if len(set(value)) < len(value):
        raise ValueError("a component stands twice")
    return value


Secret = Annotated[Token, AfterValidator(_secret)]
Components = Annotated[Many[str], Field(min_length=1), AfterValidator(_components)]
WHOLE = ("@method", "@target-uri")


class SignatureInvalid(Unauthorized):
    slug, title = "signature-invalid", "The signature is missing or does not count"


class KeySettings(Settings):
    """A key: who signs with it, and its secret."""

    id: str = Field(
        pattern=r"^[!#-\[\]-~]{1,128}$", description="Its name: the keyid of RFC 9421, and the consumer, unless one is known already."
    )
    secret: OneOrMany[Secret] = Field(
        min_length=1, description="What both sides know; with whsec_ in front, in base64. Several count while one is being replaced."
    )


class VerifySettings(Settings):
    """What is asked of requests."""

    scheme: Scheme = Field("rfc9421", description="rfc9421, or webhooks, of which method and target are no part.")
    keys: OneOrMany[KeySettings] = Field(min_length=1, description="Whose signatures count.")
    window: Duration = Field(
        300.0, ge=1, le=86400, description="How old a signature may be, and how far ahead its clock. For so long none counts twice."
    )
    components: Components = Field(
        WHOLE,
        description="Of rfc9421: what a signature must cover, beside content-digest when there is a body. Where TLS ends at a proxy "
        "that is not among `server.trusted_proxies`, name @authority, @path and @query: @target-uri has the scheme in it.",
    )
    on_failure: Literal["closed", "open"] = Field(
        "closed",
        description="While the store is away, and nobody can say whether a signature was seen before: closed refuses with 503; open lets "
        "it count again.",
    )

    @model_validator(mode="after")
    def _names_each_key_once(self) -> VerifySettings:
        names = [key.id for key in self.keys]
        if len(set(names)) < len(names):
            raise ValueError("a key stands twice; give it several secrets instead")
        return self


class SignSettings(Settings):
    """What the upstream is sent. What a client has sent by these names is taken off."""

    scheme: Scheme = Field("rfc9421", description="rfc9421 or webhooks.")
    key: KeySettings = Field(description="The key. Its first secret signs.")
    components: Components = Field(WHOLE, description="Of rfc9421: what is covered, beside content-digest when there is a body.")


class SignatureSettings(Settings):
    verify: VerifySettings | None = Field(None, description="Refuse requests without a good signature, with 401.")
    sign: SignSettings | None = Field(None, description="Sign what goes upstream, each try anew.")

    @model_validator(mode="after")
    def _does_something(self) -> SignatureSettings:
        if self.verify is None and self.sign is None:
            raise ValueError("nothing is verified and nothing signed; write verify or sign")
        return self


class Signature(Plugin[SignatureSettings]):
    """In `mode: observe` nobody is refused and nothing is signed; signatures that came are remembered."""

    needs_body = True
    handles_mode = True

    def __init__(self, settings: SignatureSettings, host: Host) -> None:
        super().__init__(settings, host)
        self._verify = settings.verify
        self._sign = None if settings.sign is None else _Signer(settings.sign, host)
        self._observes = host.mode == "observe"
        if settings.verify is not None:
            self._secrets = signing.Secrets({key.id: key.secret for key in settings.verify.keys})
            self._headers = [CHALLENGE]
            if settings.verify.scheme == "rfc9421":
                self._headers.append(("Accept-Signature", signing.accepted((*settings.verify.components, "content-digest"))))
        outcomes = host.metrics.counter("signature.requests", "Requests whose signature was looked at, by what was found.", ("outcome",))
        self._good, self._bad, self._replayed = (outcomes.bind(outcome=outcome) for outcome in ("good", "bad", "replayed"))

    async def on_request(self, ex: Exchange) -> None:
        if self._verify is not None and (refusal := await self._refusal(ex, self._verify)) is not None:
            if not self._observes:
                raise refusal
            ex.note("observe", plugin="signature", status=refusal.status)
        if self._sign is not None:
            await ex.body()
            self._sign.clean(ex)

    async def _refusal(self, ex: Exchange, settings: VerifySettings) -> GatewayError | None:
        proof = await self._proof(ex, settings)
        if isinstance(proof, str):
            self._bad.add()
            return self._invalid(proof)
        refusal = await self._again(proof, settings)
        if refusal is None:
            self._good.add()
            ex.consumer = ex.consumer or proof.key
        return refusal

    async def _proof(self, ex: Exchange, settings: VerifySettings) -> signing.Proof | str:
        """What a signature proves; else why none does. Of RFC 9421 the body is read only for who has signed that there is one."""
        message = signing.Message(ex.method, ex.scheme, ex.host, ex.target, ex.headers)
        has_body = ex.stream is not None or bool(ex.body_at_hand)
        body = await ex.body() if settings.scheme == "webhooks" else b""
        try:
            if settings.scheme == "webhooks":
                return signing.verify_webhook(ex.headers, body, self._secrets, self.host.time(), settings.window)
            covered = tuple(dict.fromkeys((*settings.components, "content-digest"))) if has_body else settings.components
            proof = signing.verify(message, self._secrets, covered, self.host.time(), settings.window)
        except ValueError as error:
            return str(error)
        if (has_body or DIGEST in ex.headers) and not signing.has_digest(ex.headers.getall(DIGEST, ()), await ex.body()):
            return "the body is not the one of Content-Digest"
        return proof

    async def _again(self, proof: signing.Proof, settings: VerifySettings) -> GatewayError | None:
        """Remember the signature for as long as it counts. What is to be answered when it was seen before, or nobody can say."""
        left = max(1.0, proof.made + settings.window - self.host.time() + 1.0)
        try:
            is_new = await self.host.store.set(REPLAY + proof.signature.hex(), b"", left, only_new=True)
        except StoreAway as away:
            if settings.on_failure == "open":
                return None
            why = str(away)
        else:
            if is_new:
                return None
            self._replayed.add()
            return self._invalid("it was used before")
        return Unavailable("Whether this was sent before cannot be looked up now.", reason=why, headers=[("Retry-After", "5")])

    def _invalid(self, why: str) -> SignatureInvalid:
        return SignatureInvalid("A signature is needed here, made just now, of this very request.", reason=why, headers=self._headers)

    def on_attempt(self, ex: Exchange, attempt: Attempt) -> None:
        if self._sign is not None:
            self._sign.put(ex, attempt)

    async def explain(self, ex: Exchange) -> str:
        says = []
        if self._verify is not None:
            proof = await self._proof(ex, self._verify)
            if isinstance(proof, str):
                raise self._invalid(proof)
            ex.consumer = ex.consumer or proof.key
            says.append(f"is signed by {proof.key}")
        if self._sign is not None:
            self._sign.clean(ex)
            says.append(f"signs what goes upstream as {self._sign.key}")
        return ", ".join(says)


class _Signer:
    """Puts a signature on each try: it says when it was made."""

    def __init__(self, settings: SignSettings, host: Host) -> None:
        self.key = settings.key.id
        self._time = host.time
        self._secret = signing.secret_bytes(settings.key.secret[0])
        self._is_webhook = settings.scheme == "webhooks"
        self._components = settings.components
        self._with_body = tuple(dict.fromkeys((*settings.components, "content-digest")))
        self._fields = tuple(map(istr, FIELDS[settings.scheme]))

    def clean(self, ex: Exchange) -> None:
        for name in self._fields if self._is_webhook else (*self._fields, DIGEST):
            ex.headers.popall(name, None)

    def put(self, ex: Exchange, attempt: Attempt) -> None:
        body, now = ex.body_at_hand or b"", int(self._time())
        values = self._webhook(ex, body, now) if self._is_webhook else self._signed(ex, attempt, body, now)
        for name, value in zip(self._fields, values, strict=True):
            attempt.add_header(name, value)

    def _webhook(self, ex: Exchange, body: bytes, now: int) -> tuple[str, ...]:
        message_id = f"msg_{ex.request_id}"  # the same for each try, so that the upstream can tell them for one
        return message_id, str(now), signing.sign_webhook(message_id, now, body, self._secret)

    def _signed(self, ex: Exchange, attempt: Attempt, body: bytes, now: int) -> tuple[str, ...]:
        if body:
            attempt.add_header(DIGEST, signing.content_digest(body))
        scheme, _, authority = attempt.target.partition("://")
        message = signing.Message(ex.method, scheme, attempt.headers.get("Host", authority), ex.target, attempt.headers)
        try:
            return signing.sign(message, self.key, self._secret, self._with_body if body else self._components, now, new_id())
        except ValueError as error:
            lacking = str(error)
        raise BadRequest("The request lacks a header that is to be signed.", reason=lacking)
