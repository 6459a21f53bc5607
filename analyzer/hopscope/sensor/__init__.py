"""The built-in sensor: a capture in, records out, without Zeek. `read.records` is its way in."""
