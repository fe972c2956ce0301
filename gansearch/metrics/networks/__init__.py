"""The networks of extractors, on torch-fidelity's layers; imported where one is built, since they load torchvision."""
