"""Tests of the rules of `gateway check`."""
