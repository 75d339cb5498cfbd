"""Commerce integration on Dagster that cannot leave two systems half-changed."""
