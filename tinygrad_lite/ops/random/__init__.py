"""Random numbers: generators and sampling."""
