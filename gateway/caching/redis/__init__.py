"""The second tier: what gateways share of their caches, in Redis or Valkey."""
