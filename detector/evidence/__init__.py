"""Evidence of what a detector saw: held until a part is decided, and made after the verdict, where it is to be kept."""
