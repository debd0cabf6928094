"""Tests of a policy: requests, and what is expected of each, written in YAML and played on a stage without sockets."""
