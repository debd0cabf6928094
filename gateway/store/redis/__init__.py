"""The store in Redis or Valkey: one multiplexed connection, decisions in Lua, and limits that go on while it is away."""
