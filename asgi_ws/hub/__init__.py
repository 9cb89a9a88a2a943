"""Rooms: connections that get what anyone publishes, in one order."""
