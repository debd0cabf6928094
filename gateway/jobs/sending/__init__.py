"""What the senders have in common: where messages go when there is no provider, connections to mail servers, what an answer means."""
