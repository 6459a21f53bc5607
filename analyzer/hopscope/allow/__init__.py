"""The allowlist: what a defender has looked at and knows to be ordinary, with reason, author and expiry.

`applying` says what entries do to findings, `proposing` which entry would hide one, `using` brings file, clock and
findings together for the commands. Nothing is imported here: the command line's `--help` loads no engine.
"""
