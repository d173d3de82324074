"""Every request that leaves the server: one client that resolves and checks addresses, follows redirects and bounds answers."""
