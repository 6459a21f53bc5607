"""What other settings would find in what the last hunt weighed: `supposing` makes the settings, `rescoring` weighs what
they change, `changes` compares. Nothing is imported here: the command line's `--help` loads no engine."""
