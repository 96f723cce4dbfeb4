"""The worker of the bridge: a script that runs in another package's environment."""
