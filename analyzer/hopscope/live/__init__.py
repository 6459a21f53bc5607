"""The running analyzer: records as they come, findings as they arise."""
