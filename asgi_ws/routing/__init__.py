"""From a path to the application that serves it."""
