"""Metrics: numbers in slots that are bound at load, merged over workers, and given to whoever asks in the form it asks for."""
