"""The gateway beside other proxies, in one run: `python -m tests.benchmarks.proxy`. docs/benchmarks.md says what the columns mean."""
