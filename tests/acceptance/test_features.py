"""Runs every scenario of ``features/`` against every warehouse."""

from pytest_bdd import scenarios

scenarios(".")
