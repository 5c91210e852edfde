"""Numpy in, numpy out: the sound of a call. Pure; imports nothing of ours."""
