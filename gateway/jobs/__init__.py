"""Jobs that are never lost: one state machine, stores that keep it on disk or in Redis, and the workers that run what is due."""
