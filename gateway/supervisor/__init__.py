"""Many workers on one port: a small parent process that starts them, watches over them, and makes them act as one gateway."""
