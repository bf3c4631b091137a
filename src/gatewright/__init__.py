"""Gatewright turns a trained neural network into a hardware accelerator, and proves that it computes that network."""
