"""The ways in: what the user names becomes record batches. A source knows its format and nothing else."""
