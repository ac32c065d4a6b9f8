"""Hands every change of an order to ERPs by pull feed and push hook. Depends on PostgreSQL alone."""
