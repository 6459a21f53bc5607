"""The built-in sensor: a capture in, records out, without Zeek."""
