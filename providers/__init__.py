"""Providers: plug-ins that know servers. Each names itself in `providers.registry` and loads when asked for."""
