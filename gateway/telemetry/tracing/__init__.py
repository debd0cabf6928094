"""Spans on their way to an OTLP receiver."""
