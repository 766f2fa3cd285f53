"""What a camera gave, kept in a file that can be played again."""
