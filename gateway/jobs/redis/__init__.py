"""Jobs in Redis or Valkey: scripts that run inside it, on its own clock, with all keys in one slot."""
