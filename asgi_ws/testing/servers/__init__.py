"""The imitated servers: an application meets the receive and the send of the one that the test names."""
