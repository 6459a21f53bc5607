"""Tuning: weights, prior and thresholds of fusion fitted to labels, and the measured effect of that."""
