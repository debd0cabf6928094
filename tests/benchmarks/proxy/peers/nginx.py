"""nginx: a proxy with limit_req, the upstream of every run, and the measure of streaming."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.proxy.peer import UPSTREAM_CONNECTIONS, Peer, Place, find

INSTALL = "apt-get install nginx-light"

PROXY = """
upstream up {{ server 127.0.0.1:{upstream}; keepalive {kept}; keepalive_requests 1000000000; }}
limit_req_zone $binary_remote_addr zone=clients:10m rate=1000000r/s;
server {{
    listen 127.0.0.1:{port} backlog=2048;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / {{ limit_req zone=clients burst=100000 nodelay; proxy_pass http://up; }}
}}
"""

CACHE = """
upstream up {{ server 127.0.0.1:{upstream}; keepalive {kept}; keepalive_requests 1000000000; }}
limit_req_zone $binary_remote_addr zone=clients:10m rate=1000000r/s;
proxy_cache_path cache keys_zone=answers:10m max_size=100m;
server {{
    listen 127.0.0.1:{port} backlog=2048;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_cache answers;
    proxy_cache_valid 200 1h;
    add_header X-Cache $upstream_cache_status;
    location / {{ limit_req zone=clients burst=100000 nodelay; proxy_pass http://up; }}
}}
"""

STREAM = """
upstream up {{ server 127.0.0.1:{upstream}; }}
server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    proxy_http_version 1.1;
    proxy_buffer_size 64k;
    proxy_buffers 16 64k;
    proxy_busy_buffers_size 256k;
    proxy_max_temp_file_size 0;
    proxy_request_buffering off;
    client_body_buffer_size 256k;
    location / {{ proxy_pass http://up; }}
}}
"""

FILES = """
default_type application/json;
open_file_cache max=16;
server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {folder};
    location / {{ sendfile off; }}  # head and body in one write, as an application sends them
    location = /zeros {{ sendfile on; }}
}}
"""


def command(place: Place, servers: str) -> list[str]:
    """One worker in the foreground, its files all in its place."""
    temporary = "".join(f"{kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    servers = servers.format(port=place.port, upstream=place.upstream, folder=place.folder, kept=UPSTREAM_CONNECTIONS)
    file = place.write(
        "nginx.conf",
        "worker_processes 1; daemon off; pid nginx.pid; error_log stderr;\n"
        "events { worker_connections 8192; }\n"
        f"http {{\naccess_log off; keepalive_requests 1000000000;\n{temporary}{servers}}}\n",
    )
    return [find("nginx") or "nginx", "-e", "stderr", "-p", str(place.folder), "-c", file]


def serving(place: Place, files: dict[str, bytes | int]) -> list[str]:
    """The command that serves these: path -> content, or a number of zero bytes (a sparse file)."""
    for path, content in files.items():
        file = place.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        _fill(file, content)
    return command(place, FILES)


def _fill(file: Path, content: bytes | int) -> None:
    with file.open("wb") as out:
        if isinstance(content, int):
            out.truncate(content)
        else:
            out.write(content)


PEERS = (
    Peer("nginx", "proxied, limit_req", "nginx", INSTALL, ("-v",), lambda place: command(place, PROXY)),
    Peer(
        "nginx-cached",
        "from its cache, limit_req",
        "nginx",
        INSTALL,
        ("-v",),
        lambda place: command(place, CACHE),
        headers=frozenset({"x-cache"}),
    ),
)
STREAMING = Peer(
    "nginx", "streamed through large buffers, none of it to disk", "nginx", INSTALL, ("-v",), lambda place: command(place, STREAM)
)
