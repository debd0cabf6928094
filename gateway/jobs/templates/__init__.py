"""Templates of messages: a folder of them, read and checked at load, and rendered in a process apart."""
