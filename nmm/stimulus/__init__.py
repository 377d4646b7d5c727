"""Stimuli: what arrives at a model from outside, as functions of time. Time in ms."""

import lazy_loader

# Loaded when first used: the names, and where each is, stand in the stub beside this file.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
