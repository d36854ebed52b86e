"""Runs as commits: record, reproduce, verify, sync."""
