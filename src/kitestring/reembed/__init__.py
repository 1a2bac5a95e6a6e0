"""Another embedding model for a collection, blue/green, with a way back."""
