"""Random numbers: generators, and tensors drawn from them."""
