"""Faults of what is said: contention, poison, repetition, order, positions, keys and agreements."""
