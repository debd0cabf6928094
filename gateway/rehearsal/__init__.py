"""A policy without sockets: the front, the pipelines and the upstream connections are the real ones, the bytes stay in memory."""
