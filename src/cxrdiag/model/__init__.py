"""The network, its weights, and all it takes to use them."""
