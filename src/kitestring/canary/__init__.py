"""Whether stored vectors are those that the model gives for the stored texts."""
