"""Its import fails."""

raise RuntimeError("no licence\nfor this machine")
