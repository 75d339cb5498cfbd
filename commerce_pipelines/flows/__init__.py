"""The only Dagster code: resources, hooks, and one file a flow.

A flow's graph body reads as the process; what its ops do stands in `services`.
"""
