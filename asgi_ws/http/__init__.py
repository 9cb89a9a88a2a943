"""One HTTP request and its response."""
