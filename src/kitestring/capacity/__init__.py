"""What a cluster must have to hold its collections. Pure: spec in, plan out."""
