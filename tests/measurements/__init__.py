"""Tests of the measurements package."""
