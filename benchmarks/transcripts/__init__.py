"""Conversations with tools: recorded ones beside this module as JSON, and long ones made from seeds."""
