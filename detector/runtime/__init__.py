"""One model, several engines: a tower with its patch features, and the search in a bank, behind one port."""
