"""The contract of brokers, as tests."""
