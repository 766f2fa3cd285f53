"""Other systems on the same pictures: they run in an environment of their own, and are no dependency."""
