"""What answers the technique: `rows` has the table, `coverage.toml` its data, `commands` shows it.

Nothing is imported here: the command line's `--help` needs none of it.
"""
