"""Whether a cluster has what a run needs: what driver and executors are asked, and what the answers mean."""
