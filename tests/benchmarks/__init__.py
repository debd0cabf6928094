"""Programs that measure. None is a test: a figure belongs to one machine and one hour."""
