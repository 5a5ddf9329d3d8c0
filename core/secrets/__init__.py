"""Secrets: kept encrypted in the workspace, in clear only in memory and on the wire to their consumer."""
