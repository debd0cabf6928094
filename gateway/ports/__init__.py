"""The ports that are not for traffic: one to look at the gateway, one to act on it. They know a Control and nothing else of it."""
