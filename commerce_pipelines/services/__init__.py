"""The use cases, one file a flow: plain functions over store, saga and connectors.

Each step stands beside its undo. Nothing here knows of Dagster or FastAPI.
"""
