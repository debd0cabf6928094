"""A shared HTTP cache (RFC 9111): a core without I/O, and the memory that keeps what it says may be kept. Behind `gateway.plugin`."""
