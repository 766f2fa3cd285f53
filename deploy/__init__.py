"""Deploy: the composition root, the command line and a developer's servers. Imports everything; nobody imports it."""
