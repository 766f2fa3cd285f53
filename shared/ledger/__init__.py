"""The ledger: each line's decisions as a chain of hashes, its verifier, and the journal that holds it on a disk."""
