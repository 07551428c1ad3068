"""Engage: a proactive in-product engagement service."""

__version__ = "0.1.0"
