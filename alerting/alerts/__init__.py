"""Alerts that operators can live with: one for each thing that is wrong, few in a minute, and none forgotten."""
