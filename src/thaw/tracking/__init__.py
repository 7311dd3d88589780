"""Tracking by an outbox: a run writes events to a file, and a process of its own ships them to MLflow.

So a run never waits for MLflow, never imports it, and loses nothing when a tracking server is down or the machine is.
"""
