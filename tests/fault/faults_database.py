"""Faults between the services and PostgreSQL, and of PostgreSQL itself."""
