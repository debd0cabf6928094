"""One `cache` of a policy at work: which requests it is for, who of them asks the upstream, and what becomes of the answers."""
