"""Backups that other tools made, taken into the catalog."""
