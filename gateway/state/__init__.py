"""What a gateway leaves on disk for others to find: that it runs, what became of its last reload, and its policies so far."""
