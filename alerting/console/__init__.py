"""The operators' console: web pages and an API over the store. It decides nothing, and no gate waits for it."""
