"""`linewarden ledger`: where records are read from, and what is made of them."""
