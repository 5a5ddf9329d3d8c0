"""Servers listed in the workspace, and hosts taken from an OpenSSH client configuration."""
