"""One suite for many implementations: what the package promises on every server."""
