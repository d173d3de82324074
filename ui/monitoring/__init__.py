"""The Monitoring page and everything that draws charts."""
