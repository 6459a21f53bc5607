"""Baselines: what is ordinary on a network, learnt over days on request, kept in versions, and never by scoring."""
