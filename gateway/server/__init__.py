"""The front: HTTP from clients, as exchanges through the compiled policy."""
