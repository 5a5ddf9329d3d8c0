"""The engine: plans, schedules, runs, recovers and rolls back. `api` is what every face speaks."""
