"""What a search by an index is worth: asked, and set against exact search."""
