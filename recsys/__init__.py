"""Ratings in, an honest comparison of matrix factorisation and deep networks out.

A plain library: nothing in it knows Prefect, and every function can be called from a notebook.
"""
