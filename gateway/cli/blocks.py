"""`gateway blocks`: see gateway.cli.block."""

from gateway.cli.block import main as main
