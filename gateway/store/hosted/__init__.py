"""The memory store of several workers: a process of its own that speaks as much of Redis's protocol as gateway.store.redis asks for."""
