"""Alerting: verdicts to decisions, decisions to signals, and the ledger of every part. Imports only `shared`."""
