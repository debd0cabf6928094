"""Jobs in one SQLite file: on this machine's disk when `enqueue` returns, shared by all processes of this host."""
