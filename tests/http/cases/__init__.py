"""The tables: what a client may send, what an upstream may answer, and what must come of it. One file for each kind."""
