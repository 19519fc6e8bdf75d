"""Intermodal: attention between modalities."""
