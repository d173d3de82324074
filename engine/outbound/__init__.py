"""HTTP client for every request that leaves the server: checks addresses, follows redirects and limits response
sizes.
"""
