"""What starts a deployed flow without a call of the public API: schedules, and webhooks of other services."""
