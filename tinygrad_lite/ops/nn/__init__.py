"""The operations of networks."""
