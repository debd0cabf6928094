"""Express with the middlewares that are usual before a proxy; it keeps no access log."""

from __future__ import annotations

from tests.benchmarks.proxy.peer import LIMIT, UPSTREAM_CONNECTIONS, Peer, Place, find
from tests.benchmarks.proxy.policy import SECURITY_HEADERS

PACKAGES = ("express", "helmet", "express-rate-limit", "http-proxy-middleware")

PROXY = """
const app = require("express")();
app.use(require("helmet")());
app.use(require("express-rate-limit").rateLimit({{windowMs: 900000, limit: {limit}, standardHeaders: "draft-8", legacyHeaders: false}}));
const agent = new (require("http").Agent)({{keepAlive: true, maxSockets: {kept}, maxFreeSockets: {kept}}});
app.use(require("http-proxy-middleware").createProxyMiddleware({{target: "http://127.0.0.1:{upstream}", agent}}));
app.listen({port}, "127.0.0.1", 2048);
"""


def configure(place: Place) -> list[str]:
    script = PROXY.format(port=place.port, upstream=place.upstream, limit=LIMIT, kept=UPSTREAM_CONNECTIONS)
    return [find("node") or "node", place.write("express.js", script)]


PEERS = (
    Peer(
        "express",
        "+ helmet, express-rate-limit, http-proxy-middleware",
        "node",
        f"Node.js (nodejs.org), then npm install {' '.join(PACKAGES)}",
        PACKAGES,
        configure,
        headers=frozenset(SECURITY_HEADERS),
        is_node=True,
    ),
)
