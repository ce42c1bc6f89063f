"""Spiking networks: neurons, layers, networks, training, evaluation and what it costs."""
