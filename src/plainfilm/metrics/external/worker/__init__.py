"""The other end of the bridge: a script that the environment of another package runs."""
